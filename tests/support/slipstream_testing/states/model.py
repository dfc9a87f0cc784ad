"""What should be there, worked out anew from what users asked for and what happened.

It shares no decision with the operator, only how names are made and manifests are read.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from slipstream_contract.summary import BuildSummary
from slipstream_operator.cluster.children import metadata
from slipstream_operator.cluster.children.metadata import Owner
from slipstream_testing.states.controllers import job_over
from slipstream_testing.states.store import NAMESPACE, Document, Store, controller_uid
from slipstream_testing.states.wishes import parsed


@dataclass
class History:
    """What happened to one AgentDeployment: the artifact that serves, those that ever did, and those gone for good.

    Keys that somebody deletes (`keyless`) come back when a starting replica lacks them: the operator reads no Secret.
    """

    serving: BuildSummary | None = None
    served: set[str] = field(default_factory=set)
    observed: int = 0
    disturbed: bool = False
    keyless: bool = False


@dataclass(frozen=True)
class Expected:
    """What should be at a quiet moment: the digest that serves, whether all is in force, whether a build runs."""

    artifact: str | None
    in_force: bool
    builds: bool


class Model:
    """The reference: histories by uid, and what every build that succeeded made."""

    def __init__(self, store: Store) -> None:
        """Judge by the facts of the store."""
        self._store = store
        self._histories: dict[str, History] = {}
        self._by_job: dict[str, BuildSummary] = {}
        self.made: dict[str, list[BuildSummary]] = {}

    def built(self, pod: Document, summary: BuildSummary) -> None:
        """Take it that the builder `pod` ended with this summary."""
        if summary.succeeded:
            self._by_job[controller_uid(pod)] = summary
            self.made.setdefault(summary.recipe_digest, []).append(summary)

    def history(self, live: Document) -> History:
        """Return what happened to this very object."""
        return self._histories.setdefault(live["metadata"]["uid"], History())

    def summaries(self) -> dict[str, BuildSummary]:
        """Return all that was ever built, by artifact."""
        return {one.artifact_digest or "": one for found in self.made.values() for one in found}

    def candidates(self, live: Document) -> set[str]:
        """Return the artifacts that the spec, as it is now, may put in place of what serves."""
        spec = parsed(live)
        if spec.rollout.revision is not None:
            return {digest for digest in self.history(live).served if digest.startswith(spec.rollout.revision)}
        return {one.artifact_digest or "" for one in self.made.get(spec.recipe.digest, [])}

    def expected(self, live: Document) -> Expected:
        """Return what should be, once nothing changes any more."""
        spec, before, job = parsed(live), self._serving(live), self.job(live)
        now = before.artifact_digest if before is not None else None
        if spec.rollout.revision is not None:
            pinned = next((digest for digest in _kept(live) if digest.startswith(spec.rollout.revision)), None)
            return Expected(pinned or now, self._suits(live, pinned), builds=False)
        if spec.model.uri.startswith("file:"):
            return Expected(now, in_force=False, builds=False)
        if job is not None and job_over(job) != "Complete":
            return Expected(now, in_force=False, builds=not job_over(job))
        built = self._built(live, job)
        if built is None:
            raise AssertionError(f"{spec.name}: nothing was built of the spec, and nothing builds it")
        compressed = before is not None and before.chosen != before.baseline and now != built.artifact_digest
        if spec.rollout.on_failed_gate == "Keep" and built.chosen == built.baseline and compressed:
            return Expected(now, in_force=False, builds=False)
        return Expected(built.artifact_digest, self._suits(live, built.artifact_digest), builds=False)

    def job(self, live: Document) -> Document | None:
        """Return the Job of the present spec."""
        owner = owner_of(live)
        job = self._store.find("Job", metadata.job_name(owner, parsed(live).recipe.digest))
        return job if job is not None and controller_uid(job) == owner.uid else None

    def objects(self, live: Document, expected: Expected) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
        """Return the places of the children that must be there, and of those that may."""
        owner, spec = owner_of(live), parsed(live)
        must = {(kind, f"{owner.name}-{part}") for part in ("builder", "runtime") for kind in _IN_PAIRS}
        must.add(("PersistentVolumeClaim", f"{owner.name}-artifacts"))
        build = {
            ("Job", metadata.job_name(owner, spec.recipe.digest)),
            ("ConfigMap", metadata.recipe_name(owner, spec.recipe.digest)),
        }
        may = set(build) | {("ConfigMap", f"{owner.name}-revisions"), ("Secret", f"{owner.name}-keys")}
        if expected.builds:
            must |= build
        if expected.artifact is not None:
            must |= set(_serving(owner))
            own_keys = spec.serving.authentication.mode == "Keys" and not spec.serving.authentication.secret
            needed = own_keys and _replicas(live, self._store) and not self.history(live).keyless
            must |= {("Secret", f"{owner.name}-keys")} if needed else set()
        return must, must | may

    def _serving(self, live: Document) -> BuildSummary | None:
        """Return what serves, unless a stranger took the last trace of it."""
        history, owner = self.history(live), owner_of(live)
        gone = self._store.find("Deployment", owner.name) is None
        if history.serving is None or (gone and history.disturbed):
            return None
        return history.serving

    def _built(self, live: Document, job: Document | None) -> BuildSummary | None:
        """Return what was built of the present spec: by its Job, or where that is gone, of what serves or did."""
        if job is not None:
            return self._by_job.get(job["metadata"]["uid"])
        serving, recipe = self._serving(live), parsed(live).recipe.digest
        if serving is not None and serving.recipe_digest == recipe:
            return serving
        kept = (self.summaries()[digest] for digest in _kept(live))
        return next((summary for summary in kept if summary.recipe_digest == recipe), None)

    def _suits(self, live: Document, digest: str | None) -> bool:
        """Return whether the artifact is there and has the variant that the spec names."""
        variant = parsed(live).serving.variant
        if digest is None:
            return False
        return variant is None or variant in [found.name for found in self.summaries()[digest].variants]


_IN_PAIRS = ("ServiceAccount", "NetworkPolicy")


def owner_of(live: Document) -> Owner:
    """Return the AgentDeployment as the owner of its children."""
    return Owner(NAMESPACE, live["metadata"]["name"], live["metadata"]["uid"])


def _serving(owner: Owner) -> Iterator[tuple[str, str]]:
    yield from ((kind, owner.name) for kind in ("Deployment", "Service", "PodDisruptionBudget"))
    yield "ConfigMap", f"{owner.name}-variant"


def _replicas(live: Document, store: Store) -> int:
    deployment = store.find("Deployment", live["metadata"]["name"])
    return int(deployment["spec"]["replicas"]) if deployment is not None else 0


def _kept(live: Document) -> list[str]:
    """Return the digests of the revisions that the status names, newest first."""
    return [r["digest"].removeprefix("sha256:") for r in live.get("status", {}).get("revisions", [])]
