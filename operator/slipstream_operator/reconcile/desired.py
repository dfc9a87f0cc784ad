"""What a plan wants of its world, in terms both worlds understand."""

from dataclasses import dataclass
from typing import Any, Literal

from slipstream_contract import codec, names
from slipstream_contract.recipe import Recipe
from slipstream_contract.serving import ServingOptions
from slipstream_contract.summary import BuildSummary
from slipstream_operator.api.spec import AgentSpec
from slipstream_operator.reconcile.processes import replica_plan
from slipstream_operator.reconcile.revisions import Revision
from slipstream_operator.reconcile.rollout import SURGE, Strategy


@dataclass(frozen=True)
class DesiredServing:
    """An artifact to serve, by how many replicas, and how these take over from those before.

    `variant` is the one to answer with (empty: the chosen one). `failed` says why the wanted replicas do not start, to
    be remembered of them; `reverted`, that the template which last served takes their place; `proven`, that all
    replicas are of the wanted template and answer, so that it can be gone back to.
    """

    summary: BuildSummary
    replicas: int
    variant: str = ""
    strategy: Strategy = SURGE
    failed: str = ""
    reverted: bool = False
    proven: bool = False


AUTHENTICATIONS = {"Keys": "keys", "TokenReview": "token-review", "None": "none"}
"""The runtime's words for the API's."""


@dataclass(frozen=True)
class Event:
    """Something a person may want to hear of, once."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True)
class Desired:
    """The state to bring about: a build that should run (None: no build is wanted), what to serve, what to keep."""

    build: Recipe | None
    serving: DesiredServing | None
    status: dict[str, Any]
    events: tuple[Event, ...]
    revisions: tuple[Revision, ...] = ()


def serving_options(spec: AgentSpec, summary: BuildSummary, store: str, variant_file: str) -> ServingOptions:
    """Return how a replica serves the artifact in folder `store`: its chosen variant until `variant_file` says else.

    The file is left out where there is nothing to choose from.
    """
    plan = replica_plan(spec.serving, summary)
    return ServingOptions(
        artifact=f"{store}/{names.artifact_folder(summary.artifact_digest or '')}",
        variant=summary.chosen or "",
        variant_file=variant_file if len(summary.variants) > 1 else "",
        model=spec.name,
        objective_percentile=f"{spec.objective.percentile:g}",
        objective_milliseconds=spec.objective.latency_milliseconds,
        max_batch=spec.serving.max_batch,
        max_delay_milliseconds=spec.serving.max_delay_milliseconds,
        cache_bytes=spec.serving.cache_bytes,
        cache_ttl_seconds=spec.serving.cache_ttl_seconds,
        cache_redis_file=f"{names.SECRETS_PATH}/redis/{names.REDIS_FILE}" if spec.serving.redis_secret else "",
        authentication=AUTHENTICATIONS[spec.serving.authentication.mode],
        provider=spec.serving.accelerator.provider.lower() if spec.serving.accelerator else "cpu",
        threads=plan.threads,
        processes=plan.processes,
    )


def revision(options: ServingOptions) -> str:
    """Return a short name of the options: replicas of one revision serve alike."""
    return codec.digest(options)[:10]
