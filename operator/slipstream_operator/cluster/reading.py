"""What was read of one AgentDeployment and its objects at one moment, and what follows from it: pure."""

import sys
from dataclasses import dataclass, field
from typing import Any

from slipstream_contract import names
from slipstream_contract.summary import BuildSummary
from slipstream_operator.api.spec import AgentSpec
from slipstream_operator.cluster import kinds, sources
from slipstream_operator.cluster.build_state import build_of, is_over, parsed_summary, recorded_summary
from slipstream_operator.cluster.children import memory, metadata
from slipstream_operator.cluster.children.deployment import noted_failure
from slipstream_operator.cluster.children.memory import Good
from slipstream_operator.cluster.children.metadata import RUNTIME, Document, Owner
from slipstream_operator.cluster.kinds import Kind
from slipstream_operator.cluster.pod_state import is_alive, is_ready, metrics_url, placeless, seconds_since
from slipstream_operator.errors import ManifestError
from slipstream_operator.reconcile.observation import Build, RolloutState, Served
from slipstream_operator.reconcile.revisions import Revision


@dataclass(frozen=True)
class Reading:
    """The AgentDeployment `live` with its parsed spec, the objects with its labels by kind and name, and the pods."""

    owner: Owner
    spec: AgentSpec
    live: Document
    by_kind: dict[Kind, dict[str, Document]] = field(default_factory=dict)
    pods: tuple[Document, ...] = ()

    @property
    def status(self) -> Document:
        """The status as it was read."""
        status: Document = self.live.get("status", {})
        return status

    def find(self, kind: Kind, name: str) -> Document | None:
        """Return the object of that name, whoever owns it."""
        return self.by_kind.get(kind, {}).get(name)

    def owned(self, kind: Kind) -> list[Document]:
        """Return the objects of a kind that the AgentDeployment controls."""
        return [found for found in self.by_kind.get(kind, {}).values() if metadata.is_owned(found, self.owner)]

    def job(self) -> Document | None:
        """Return the Job that builds the current spec."""
        job = self.find(kinds.JOB, metadata.job_name(self.owner, self.spec.recipe.digest))
        return job if job is not None and metadata.is_owned(job, self.owner) else None

    def build(self) -> Build:
        """Return how the build of the current spec stands."""
        digest = self.spec.recipe.digest
        try:
            sources.claims(self.spec)
        except ManifestError as error:
            return Build("Failed", str(error), BuildSummary("InvalidSource", str(error), digest))
        job = self.job()
        build = build_of(job, self._pods_of(job) if job else [])
        if job is not None and is_over(job) and self._stored_later(_created(job)):
            # The volume is another one than it wrote to: an Absent build is made again.
            build = Build("Absent", job=build.job)
        known = [summary for summary in self._stored() if summary.recipe_digest == digest]
        if build.phase == "Absent" and known:
            return Build("Succeeded", known[0].message, known[0])
        return build

    def revisions(self) -> tuple[Revision, ...]:
        """Return the kept revisions, whose artifacts are in the volume that there is."""
        kept = memory.kept_revisions(self._config(metadata.revisions_name(self.owner)))
        return tuple(revision for revision in kept if not self._stored_later(revision.at))

    def good(self) -> Good | None:
        """Return the pod template that was last wholly in service."""
        return memory.kept_good(self._config(metadata.revisions_name(self.owner)))

    def failed_start(self, revision: str) -> str:
        """Return why the replicas of `revision` did not start, where that is noted."""
        failed, why = noted_failure(self._deployment())
        return why if failed == revision else ""

    def rollout(self, revision: str, wall_now: float) -> RolloutState:
        """Return how the change to the replicas of `revision` stands at the time `wall_now` (seconds)."""
        deployment = self._deployment()
        if deployment is None:
            return RolloutState()
        new = [pod for pod in self.runtime_pods() if is_alive(pod) and metadata.revision_of(pod) == revision]
        why, since = next((found for found in map(placeless, new) if found[0]), _over_quota(deployment))
        limits = deployment["spec"].get("strategy", {}).get("rollingUpdate", {})
        allowed = limits.get("maxUnavailable", 0) if limits.get("maxSurge") == 0 else 0
        waited = seconds_since(since, wall_now) if since else 0.0
        return RolloutState(allowed if isinstance(allowed, int) else 0, why, waited, _has_stalled(deployment))

    def served(self) -> Served | None:
        """Return what the Deployment says it serves, or where it was deleted, what the status and the Jobs know."""
        variant = memory.asked_variant(self._config(metadata.variant_name(self.owner)))
        deployment = self._deployment()
        if deployment is not None:
            return _served_by(deployment, variant)
        digest = self.status.get("artifact", {}).get("digest", "")
        replicas = self.status.get("scaling", {}).get("desiredReplicas")
        ended = (job for job in self.owned(kinds.JOB) if not self._stored_later(_created(job)))
        jobs = filter(None, map(recorded_summary, ended))
        for summary in (*(revision.summary for revision in self.revisions()), *jobs):
            if digest == f"sha256:{summary.artifact_digest}" and replicas is not None:
                return Served(summary, replicas, variant)
        return None

    def all_ready(self) -> bool:
        """Return whether the Deployment has pods and each is ready, so that all they mount is there."""
        pods = self.runtime_pods()
        return self.find(kinds.DEPLOYMENT, self.owner.name) is not None and bool(pods) and all(map(is_ready, pods))

    def runtime_pods(self) -> list[Document]:
        """Return the pods of our Deployment; one that merely wears its labels has another controller or none."""
        prefix = f"{self.owner.name}-"
        return [
            pod
            for pod in self.pods
            if pod["metadata"]["labels"].get(names.LABEL_COMPONENT) == RUNTIME
            and _controller(pod).get("kind") == "ReplicaSet"
            and _controller(pod).get("name", "").startswith(prefix)
        ]

    def targets(self) -> list[tuple[str, str]]:
        """Return the uid and metrics URL of each replica to scrape."""
        ready = [pod for pod in self.runtime_pods() if is_alive(pod) and is_ready(pod)]
        # One text for all samples of a replica, however often its pod is parsed.
        return [(sys.intern(pod["metadata"]["uid"]), url) for pod in ready if (url := metrics_url(pod)) is not None]

    def volume_since(self) -> str:
        """Return since when the volume of artifacts exists (RFC 3339), or nothing where it does not."""
        claim = self.find(kinds.CLAIM, metadata.artifacts_name(self.owner))
        return _created(claim) if claim is not None else ""

    def artifacts(self) -> tuple[str, ...]:
        """Return the digests of the artifacts to keep in the store: what serves, and what can be gone back to."""
        served = self.served()
        found = [*self._stored(), *([served.summary] if served is not None else [])]
        return tuple(sorted({summary.artifact_digest or "" for summary in found}))

    def _deployment(self) -> Document | None:
        found = self.find(kinds.DEPLOYMENT, self.owner.name)
        return found if found is not None and metadata.is_owned(found, self.owner) else None

    def _config(self, name: str) -> Document | None:
        found = self.find(kinds.CONFIG_MAP, name)
        return found if found is not None and metadata.is_owned(found, self.owner) else None

    def _stored(self) -> list[BuildSummary]:
        """Return the builds whose artifacts are in the volume: of what serves from it and of what is kept."""
        served = self.served()
        found = [served.summary] if served is not None and self._serves_from_the_volume() else []
        return [*found, *(revision.summary for revision in self.revisions())]

    def _serves_from_the_volume(self) -> bool:
        """Return whether what the Deployment serves is in the volume: that is older, or a replica started from it."""
        deployment = self._deployment()
        if deployment is None or not self._stored_later(_created(deployment)):
            return True
        revision = metadata.revision_of(deployment["spec"]["template"])
        started = (
            _created(pod) for pod in self.runtime_pods() if is_ready(pod) and metadata.revision_of(pod) == revision
        )
        return not all(map(self._stored_later, started))

    def _stored_later(self, timestamp: str) -> bool:
        """Return whether what was written at `timestamp` is gone, as the artifact volume is newer or not there."""
        since = self.volume_since()
        return not since or timestamp < since

    def _pods_of(self, job: Document) -> list[Document]:
        return [pod for pod in self.pods if _controller(pod).get("uid") == job["metadata"]["uid"]]


def _created(document: Document) -> str:
    return str(document["metadata"].get("creationTimestamp", ""))


def _controller(document: Document) -> dict[str, Any]:
    references = document["metadata"].get("ownerReferences", [])
    return next((reference for reference in references if reference.get("controller")), {})


def _over_quota(deployment: Document) -> tuple[str, str]:
    """Return why a quota allows no further pod, and since when; two empty texts where that is not so."""
    for condition in deployment.get("status", {}).get("conditions", []):
        words = condition.get("message", "")
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True" and "exceeded quota" in words:
            return words, condition.get("lastTransitionTime", "")
    return "", ""


def _has_stalled(deployment: Document) -> bool:
    """Return whether the cluster has given up on the Deployment as it is now."""
    status = deployment.get("status", {})
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
        return False
    return any(
        condition["type"] == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded"
        for condition in status.get("conditions", [])
    )


def _served_by(deployment: Document, variant: str) -> Served | None:
    annotations = deployment["metadata"].get("annotations", {})
    summary = parsed_summary(annotations.get(names.ANNOTATION_ARTIFACT, ""))
    try:
        return Served(summary, int(annotations[metadata.ANNOTATION_REPLICAS]), variant) if summary is not None else None
    except (KeyError, ValueError):
        return None
