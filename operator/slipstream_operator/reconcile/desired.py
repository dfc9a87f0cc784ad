"""What a plan wants of its world, in terms both worlds understand."""

from dataclasses import dataclass
from typing import Any, Literal

from slipstream_contract import codec, names
from slipstream_contract.recipe import Recipe
from slipstream_contract.serving import ServingOptions
from slipstream_contract.summary import BuildSummary
from slipstream_operator.api.spec import AgentSpec


@dataclass(frozen=True)
class DesiredServing:
    """An artifact to serve, and by how many replicas."""

    summary: BuildSummary
    replicas: int


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
    """The state to bring about: a build that should run (None: no build is wanted), and what to serve."""

    build: Recipe | None
    serving: DesiredServing | None
    status: dict[str, Any]
    events: tuple[Event, ...]


def serving_options(spec: AgentSpec, summary: BuildSummary, store: str) -> ServingOptions:
    """Return how a replica serves the chosen variant of the artifact in the folder `store`."""
    return ServingOptions(
        artifact=f"{store}/{names.artifact_folder(summary.artifact_digest or '')}",
        variant=summary.chosen or "",
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
        threads=spec.serving.threads,
        processes=1,
    )


def revision(options: ServingOptions) -> str:
    """Return a short name of the options: replicas of one revision serve alike."""
    return codec.digest(options)[:10]
