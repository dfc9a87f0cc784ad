"""What was read of one AgentDeployment and its objects at one moment, and what follows from it: pure."""

from dataclasses import dataclass, field
from typing import Any

from slipstream_contract import names
from slipstream_contract.errors import ContractError
from slipstream_contract.summary import BuildSummary
from slipstream_operator.api.spec import AgentSpec
from slipstream_operator.cluster import kinds, sources
from slipstream_operator.cluster.build_state import build_of, recorded_summary
from slipstream_operator.cluster.children import metadata
from slipstream_operator.cluster.children.metadata import RUNTIME, Document, Owner
from slipstream_operator.cluster.kinds import Kind
from slipstream_operator.cluster.pod_state import is_alive, is_ready, metrics_url
from slipstream_operator.errors import ManifestError
from slipstream_operator.reconcile.observation import Build, Served


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
        job, served = self.job(), self.served()
        build = build_of(job, self._pods_of(job) if job else [])
        if build.phase == "Absent" and served is not None and served.summary.recipe_digest == digest:
            return Build("Succeeded", served.summary.message, served.summary)
        return build

    def served(self) -> Served | None:
        """Return what the Deployment says it serves, or where it was deleted, what the status and the Jobs know."""
        deployment = self.find(kinds.DEPLOYMENT, self.owner.name)
        if deployment is not None and metadata.is_owned(deployment, self.owner):
            return _served_by(deployment)
        digest = self.status.get("artifact", {}).get("digest", "")
        replicas = self.status.get("scaling", {}).get("desiredReplicas")
        for summary in filter(None, map(recorded_summary, self.owned(kinds.JOB))):
            if digest == f"sha256:{summary.artifact_digest}" and replicas is not None:
                return Served(summary, replicas)
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
        return [(pod["metadata"]["uid"], url) for pod in ready if (url := metrics_url(pod)) is not None]

    def _pods_of(self, job: Document) -> list[Document]:
        return [pod for pod in self.pods if _controller(pod).get("uid") == job["metadata"]["uid"]]


def _controller(document: Document) -> dict[str, Any]:
    references = document["metadata"].get("ownerReferences", [])
    return next((reference for reference in references if reference.get("controller")), {})


def _served_by(deployment: Document) -> Served | None:
    annotations = deployment["metadata"].get("annotations", {})
    try:
        summary = BuildSummary.from_json(annotations[names.ANNOTATION_ARTIFACT])
        return Served(summary, int(annotations[metadata.ANNOTATION_REPLICAS]))
    except (KeyError, ValueError, ContractError):
        return None
