"""Which artifact should serve: the current spec's, unless the user pinned another or there is a reason to keep one."""

from dataclasses import dataclass

from slipstream_contract.summary import BuildSummary
from slipstream_operator.reconcile import revisions
from slipstream_operator.reconcile.observation import Observation


@dataclass(frozen=True)
class Held:
    """Why the current spec is not what serves: a reason in one word, and in a sentence with what to do."""

    reason: str
    message: str


@dataclass(frozen=True)
class Target:
    """The artifact to serve, None while there is none; `pinned` by `spec.rollout.revision`.

    `reverted` says that the replicas go back to the template that last served, because the wanted one did not start.
    """

    summary: BuildSummary | None
    pinned: bool = False
    held: Held | None = None
    reverted: bool = False


def target_of(observation: Observation) -> Target:
    """Return the artifact to serve; what was wanted and did not start gives way to what last served."""
    wanted = wanted_of(observation)
    if not observation.failed_start or observation.last_good is None:
        return wanted
    message = (
        f"the new replicas did not start: {observation.failed_start}; those before serve again; mend the cause and "
        "change the spec, or, to try the same again, remove the annotation slipstream.dev/failed-revision from "
        f"deployment {observation.spec.name}"
    )
    return Target(observation.last_good, held=Held("StartFailed", message), reverted=True)


def wanted_of(observation: Observation) -> Target:
    """Return what should serve if it starts: the pinned revision, else the newest build, else what serves already."""
    if observation.spec.rollout.revision is not None:
        return _pinned(observation, observation.spec.rollout.revision)
    built = observation.build.summary if observation.build.phase == "Succeeded" else None
    served = observation.served.summary if observation.served else None
    if built is None or served is None:
        return Target(built or served)
    if observation.spec.rollout.on_failed_gate == "Keep" and lost_compression(built, served):
        return Target(served, held=Held("GateFailed", _gate_words(built)))
    return Target(built)


def lost_compression(built: BuildSummary, served: BuildSummary) -> bool:
    """Return whether every candidate of `built` failed the gate, while `served` is another artifact and compressed."""
    all_failed = built.metric is not None and built.candidates_tried > 0 and built.chosen == built.baseline
    return all_failed and served.artifact_digest != built.artifact_digest and served.chosen != served.baseline


def _pinned(observation: Observation, revision: str) -> Target:
    found = revisions.find(observation.revisions, revision)
    if found is not None:
        return Target(found.summary, pinned=True)
    there = ", ".join(kept.name for kept in observation.revisions) or "none yet"
    message = f"spec.rollout.revision: there is no kept revision {revision}; write one of {there}, or remove the field"
    served = observation.served.summary if observation.served else None
    return Target(served, held=Held("UnknownRevision", message))


def _gate_words(built: BuildSummary) -> str:
    return (
        f"none of {built.candidates_tried} compressed candidates of the new model passed the gate, so the artifact "
        "before keeps serving; raise spec.validation.maxDrop, or set spec.rollout.onFailedGate: Serve to serve the new "
        "model uncompressed"
    )
