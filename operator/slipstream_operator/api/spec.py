"""The parsed spec: frozen values in base units, made from a validated AgentDeployment."""

import re
from dataclasses import dataclass
from typing import Any, Literal

from slipstream_contract.recipe import Environment, Mode, Objective, Recipe, Source, Validation
from slipstream_operator.api.quantities import parse_bytes, parse_percentage, parse_processors
from slipstream_operator.errors import ManifestError
from slipstream_operator.scaling.policy import Behavior, Rules, ScalingPolicy

AuthenticationMode = Literal["Keys", "TokenReview", "None"]
ScalingMode = Literal["Objective", "Manual", "External"]
Overload = Literal["Switch", "Keep"]
FailedGate = Literal["Keep", "Serve"]


@dataclass(frozen=True)
class Authentication:
    """Who may call; mode Keys without a secret takes the keys that the operator made."""

    mode: AuthenticationMode = "Keys"
    secret: str | None = None


@dataclass(frozen=True)
class Accelerator:
    """The extended resource that a replica asks for, and what runs the model on it."""

    resource: str
    count: int
    provider: str


@dataclass(frozen=True)
class Serving:
    """How a replica serves; `max_batch` 0 lets the runtime learn it, `variant` None takes the build's choice."""

    max_batch: int
    max_delay_milliseconds: int
    cache_bytes: int
    cache_ttl_seconds: int
    cpu: str
    memory: str
    authentication: Authentication = Authentication()
    redis_secret: str | None = None
    accelerator: Accelerator | None = None
    variant: str | None = None
    overload: Overload = "Switch"

    @property
    def threads(self) -> int:
        """Intra-op threads of the session: whole processors, at least one."""
        return max(1, int(parse_processors(self.cpu)))


@dataclass(frozen=True)
class Scaling:
    """Who sets the replicas, and between which bounds."""

    mode: ScalingMode
    replicas: int | None
    min_replicas: int
    max_replicas: int
    behavior: Behavior


@dataclass(frozen=True)
class Storage:
    """The volume that holds the artifacts."""

    size: str
    storage_class: str | None
    access_mode: str


@dataclass(frozen=True)
class Rollout:
    """How one artifact or spec replaces another; `revision` pins a kept one."""

    min_available: int = 1
    on_failed_gate: FailedGate = "Keep"
    progress_deadline_seconds: int = 600
    revision: str | None = None


@dataclass(frozen=True)
class AgentSpec:
    """One AgentDeployment's spec."""

    namespace: str
    name: str
    model: Source
    validation: Validation | None
    unlabelled: Source | None
    mode: Mode
    techniques: tuple[str, ...]
    budget_seconds: int
    objective: Objective
    serving: Serving
    scaling: Scaling
    storage: Storage
    rollout: Rollout = Rollout()

    @property
    def recipe(self) -> Recipe:
        """The build input that this spec asks for."""
        return Recipe(
            name=self.name,
            model=self.model,
            validation=self.validation,
            unlabelled=self.unlabelled,
            mode=self.mode,
            techniques=self.techniques,
            budget_seconds=self.budget_seconds,
            objective=self.objective,
            threads=self.serving.threads,
        )


def parse(document: dict[str, Any]) -> AgentSpec:
    """Return the spec of a validated and defaulted AgentDeployment."""
    metadata, spec = document["metadata"], document["spec"]
    compression, objective = spec["compression"], spec["objective"]
    return AgentSpec(
        namespace=metadata.get("namespace", "default"),
        name=metadata["name"],
        model=_source(spec["model"]),
        validation=_validation(spec["validation"]) if "validation" in spec else None,
        unlabelled=_source(compression["dataset"]) if "dataset" in compression else None,
        mode=compression["mode"],
        techniques=tuple(compression.get("techniques", ())),
        budget_seconds=compression["budgetSeconds"],
        objective=Objective(float(objective["percentile"]), objective["latencyMilliseconds"]),
        serving=_serving(spec["serving"]),
        scaling=_scaling(spec["scaling"]),
        storage=_storage(spec["storage"]),
        rollout=_rollout(spec["rollout"]),
    )


def claim_of(uri: str) -> str | None:
    """Return the PersistentVolumeClaim that a `pvc://CLAIM/PATH` URI names, or None for another scheme.

    Raises:
        ManifestError: the URI names no claim or no path.
    """
    if not uri.startswith("pvc:"):
        return None
    match = re.fullmatch(r"pvc://([a-z0-9]([-a-z0-9.]*[a-z0-9])?)/(.+)", uri)
    if match is None or ".." in match[3].split("/"):
        raise ManifestError(f"{uri}: write pvc://CLAIM/PATH, with a path inside the claim")
    return match[1]


def port_of(uri: str) -> int | None:
    """Return the port that an http(s) URI names, or None where it names none."""
    match = re.match(r"https?://(?:[^/@]*@)?(?:\[[^\]]*\]|[^/:]*):(\d{1,5})(?:/|$)", uri)
    return int(match[1]) if match and 0 < int(match[1]) < 65536 else None


def _source(document: dict[str, Any]) -> Source:
    return Source(document["uri"], document.get("sha256"), document.get("secretRef", {}).get("name"))


def _validation(document: dict[str, Any]) -> Validation:
    environment, slice_drop = document.get("environment"), document.get("maxSliceDrop")
    return Validation(
        metric=document["metric"],
        max_drop=parse_percentage(document["maxDrop"]),
        confidence=parse_percentage(document["confidence"]),
        dataset=_source(document["dataset"]) if "dataset" in document else None,
        environment=Environment(environment["id"], environment["episodes"]) if environment else None,
        max_slice_drop=parse_percentage(slice_drop) if slice_drop else None,
    )


def _serving(document: dict[str, Any]) -> Serving:
    batching, cache, resources = document["batching"], document["cache"], document["resources"]
    accelerator, authentication = document.get("accelerator"), document["authentication"]
    return Serving(
        max_batch=batching.get("maxSize", 0),
        max_delay_milliseconds=batching["maxDelayMilliseconds"],
        cache_bytes=0 if cache["mode"] == "Off" else parse_bytes(cache["maxBytes"]),
        cache_ttl_seconds=cache["ttlSeconds"],
        cpu=resources["cpu"],
        memory=resources["memory"],
        authentication=Authentication(authentication["mode"], authentication.get("secretRef", {}).get("name")),
        redis_secret=cache.get("secretRef", {}).get("name"),
        accelerator=Accelerator(**accelerator) if accelerator else None,
        variant=document.get("variant"),
        overload=document["overload"],
    )


def _scaling(document: dict[str, Any]) -> Scaling:
    behavior, default = document["behavior"], Behavior()
    return Scaling(
        mode=document["mode"],
        replicas=document.get("replicas"),
        min_replicas=document["minReplicas"],
        max_replicas=document["maxReplicas"],
        behavior=Behavior(
            scale_up=_rules(behavior["scaleUp"], default.scale_up),
            scale_down=_rules(behavior["scaleDown"], default.scale_down),
        ),
    )


def _rules(document: dict[str, Any], default: Rules) -> Rules:
    policies = tuple(ScalingPolicy(p["type"], p["value"], p["periodSeconds"]) for p in document.get("policies", ()))
    return Rules(
        policies=policies or default.policies,
        stabilization_window_seconds=document.get("stabilizationWindowSeconds", default.stabilization_window_seconds),
        select=document.get("selectPolicy", default.select),
        tolerance=default.tolerance,
    )


def _storage(document: dict[str, Any]) -> Storage:
    return Storage(document["size"], document.get("storageClassName"), document["accessMode"])


def _rollout(document: dict[str, Any]) -> Rollout:
    return Rollout(
        min_available=document["minAvailable"],
        on_failed_gate=document["onFailedGate"],
        progress_deadline_seconds=document["progressDeadlineSeconds"],
        revision=document.get("revision"),
    )
