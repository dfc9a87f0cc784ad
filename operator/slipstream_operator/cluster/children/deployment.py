"""The runtime Deployment: replicas that come up before others go down, and drain before they end."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from slipstream_contract import codec, names
from slipstream_contract.serving import ServingOptions
from slipstream_contract.summary import BuildSummary
from slipstream_operator.api.spec import AgentSpec, Serving
from slipstream_operator.cluster.children import pods
from slipstream_operator.cluster.children.keys import keys_secret_name
from slipstream_operator.cluster.children.memory import Good
from slipstream_operator.cluster.children.metadata import (
    ANNOTATION_FAILED,
    ANNOTATION_REPLICAS,
    ANNOTATION_REVISION,
    RUNTIME,
    Document,
    Owner,
    child,
    labels,
    selector,
    variant_name,
)
from slipstream_operator.cluster.settings import OperatorSettings
from slipstream_operator.reconcile.desired import DesiredServing, serving_options
from slipstream_operator.reconcile.rollout import Strategy

SLEEP_SECONDS = 5
"""A pod on its way out still gets requests for as long as its removal takes to reach every proxy."""

ANY_ADDRESS = "0.0.0.0"  # noqa: S104 (a pod's address is its own, and a network policy guards it)
WORK_SIZE = "256Mi"
KEYS = "keys"
REDIS = "redis"
VARIANT = "variant"


@dataclass(frozen=True)
class Standing:
    """What is remembered of rollouts: the pod template last wholly in service, and the note of one that failed."""

    good: Good | None = None
    failure: str = ""


def deployment(
    owner: Owner, spec: AgentSpec, serving: DesiredServing, settings: OperatorSettings, standing: Standing
) -> Document:
    """Return the Deployment that serves as wanted; it carries what it serves for a restarted operator."""
    wanted = template(owner, spec, serving.summary, settings)
    document = child("apps/v1/Deployment", owner.name, owner, RUNTIME)
    document["metadata"]["annotations"] = {
        names.ANNOTATION_ARTIFACT: serving.summary.to_json(),
        ANNOTATION_REPLICAS: str(serving.replicas),
        **({ANNOTATION_FAILED: standing.failure} if standing.failure else {}),
    }
    document["spec"] = {
        "replicas": serving.replicas,
        "revisionHistoryLimit": 3,
        "progressDeadlineSeconds": spec.rollout.progress_deadline_seconds,
        "selector": {"matchLabels": selector(owner, RUNTIME)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": _rolling_update(serving.strategy)},
        "template": standing.good.template if serving.reverted and standing.good is not None else wanted,
    }
    return document


def failure_note(revision: str, why: str) -> str:
    """Return the annotation that remembers why the replicas of a revision did not start."""
    return json.dumps({"revision": revision, "why": why}, sort_keys=True)


def noted_failure(live: Document | None) -> tuple[str, str]:
    """Return the revision that is noted on the Deployment not to have started, and why; empty where none is."""
    try:
        found: Any = json.loads(live["metadata"].get("annotations", {}).get(ANNOTATION_FAILED, "{}")) if live else {}
        return str(found.get("revision", "")), str(found.get("why", ""))
    except (ValueError, AttributeError):
        return "", ""


def _rolling_update(strategy: Strategy) -> Document:
    """Return the limits of a rollout: a quarter more replicas and none missing, or some missing and none more."""
    if strategy.swaps:
        return {"maxUnavailable": strategy.max_unavailable, "maxSurge": 0}
    return {"maxUnavailable": 0, "maxSurge": "25%"}


def template_revision(owner: Owner, spec: AgentSpec, summary: BuildSummary, settings: OperatorSettings) -> str:
    """Return the revision that the pods of this spec and artifact carry."""
    return codec.digest(_pod(owner, spec, summary, settings))[:10]


def template(owner: Owner, spec: AgentSpec, summary: BuildSummary, settings: OperatorSettings) -> Document:
    """Return the pod template of this spec and artifact, with its revision on it."""
    revision = template_revision(owner, spec, summary, settings)
    metadata = {"labels": labels(owner, RUNTIME), "annotations": {ANNOTATION_REVISION: revision}}
    return {"metadata": metadata, "spec": _pod(owner, spec, summary, settings)}


def _pod(owner: Owner, spec: AgentSpec, summary: BuildSummary, settings: OperatorSettings) -> Document:
    options = _options(spec, summary)
    secrets = _secrets(owner, spec)
    container = {
        "name": RUNTIME,
        "image": settings.runtime_image,
        "command": ["python", "-m", "slipstream_runtime"],
        "args": options.to_arguments(),
        "ports": [
            {"name": "http", "containerPort": names.HTTP_PORT, "protocol": "TCP"},
            {"name": "grpc", "containerPort": names.GRPC_PORT, "protocol": "TCP"},
            {"name": "metrics", "containerPort": names.METRICS_PORT, "protocol": "TCP"},
        ],
        **_probes(spec.rollout.progress_deadline_seconds),
        "lifecycle": {"preStop": {"sleep": {"seconds": SLEEP_SECONDS}}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": pods.container_security(),
        "resources": _resources(spec.serving),
        "volumeMounts": [
            pods.artifacts_mount(read_only=True),
            pods.work_mount(),
            {"name": VARIANT, "mountPath": names.VARIANT_PATH, "readOnly": True},
            *(
                {"name": name, "mountPath": f"{names.SECRETS_PATH}/{name}", "readOnly": True}
                for name, _secret, _key in secrets
            ),
        ],
    }
    volumes = [
        pods.artifacts_volume(owner, read_only=True),
        pods.work_volume(WORK_SIZE),
        {"name": VARIANT, "configMap": {"name": variant_name(owner), "optional": True}},
        *(_secret_volume(*secret) for secret in secrets),
    ]
    return {
        **pods.pod_spec(owner, RUNTIME, container, volumes),
        # Only a replica that asks the API server who calls needs a token of its own.
        "automountServiceAccountToken": spec.serving.authentication.mode == "TokenReview",
        "terminationGracePeriodSeconds": SLEEP_SECONDS + options.drain_seconds + 5,
        "topologySpreadConstraints": [_spread(owner)],
    }


def _options(spec: AgentSpec, summary: BuildSummary) -> ServingOptions:
    return dataclasses.replace(
        serving_options(spec, summary, names.ARTIFACTS_PATH, f"{names.VARIANT_PATH}/{names.VARIANT_FILE}"),
        host=ANY_ADDRESS,
        grpc_port=names.GRPC_PORT,
        keys_file=f"{names.SECRETS_PATH}/{KEYS}/{names.KEYS_FILE}"
        if spec.serving.authentication.mode == "Keys"
        else "",
        log_format="json",
    )


def _secrets(owner: Owner, spec: AgentSpec) -> list[tuple[str, str, str]]:
    """Return the Secrets that the kubelet mounts: volume, Secret, and the one key of it that replicas see."""
    serving, found = spec.serving, []
    if serving.authentication.mode == "Keys":
        found.append((KEYS, serving.authentication.secret or keys_secret_name(owner), names.KEYS_FILE))
    if serving.redis_secret is not None:
        found.append((REDIS, serving.redis_secret, names.REDIS_FILE))
    return found


def _secret_volume(name: str, secret: str, key: str) -> Document:
    items = [{"key": key, "path": key}]
    return {"name": name, "secret": {"secretName": secret, "items": items, "defaultMode": 0o440}}


def _resources(serving: Serving) -> Document:
    """Return the resources; an accelerator has to be asked for as request and limit alike."""
    found = pods.resources(serving.cpu, serving.memory)
    if serving.accelerator is None:
        return found
    extended = {serving.accelerator.resource: str(serving.accelerator.count)}
    return {kind: {**amounts, **extended} for kind, amounts in found.items()}


def _probes(start_seconds: int) -> Document:
    """Return the probes; a start may take as long as the rollout's deadline, and is begun anew after that."""
    ready, alive = _probe("/readyz"), _probe("/livez")
    return {
        "startupProbe": {
            **ready,
            "periodSeconds": 1,  # the least that Kubernetes knows: a replica is used the second it can be
            "failureThreshold": start_seconds,
            "timeoutSeconds": 1,
        },
        "readinessProbe": {**ready, "periodSeconds": 2, "failureThreshold": 2, "timeoutSeconds": 2},
        "livenessProbe": {**alive, "periodSeconds": 10, "failureThreshold": 6, "timeoutSeconds": 5},
    }


def _probe(path: str) -> Document:
    return {"httpGet": {"path": path, "port": "metrics"}}


def _spread(owner: Owner) -> Document:
    """Ask for replicas on different nodes where the volume allows it."""
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector(owner, RUNTIME)},
    }
