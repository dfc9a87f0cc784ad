"""The cluster as a world to act on: observes one AgentDeployment's objects, and applies a plan to them."""

import asyncio
import logging
import time
from dataclasses import dataclass, field, replace
from typing import Any

from slipstream_contract import names
from slipstream_contract.errors import ContractError
from slipstream_contract.summary import BuildSummary
from slipstream_operator.api.spec import AgentSpec
from slipstream_operator.cluster import drift, kinds, sources
from slipstream_operator.cluster.build_state import build_of, is_over, recorded_summary
from slipstream_operator.cluster.children import family, metadata
from slipstream_operator.cluster.children.deployment import template_revision
from slipstream_operator.cluster.children.metadata import BUILDER, RUNTIME, Document, Owner
from slipstream_operator.cluster.kinds import Kind
from slipstream_operator.cluster.kube import CONFLICT, Kube
from slipstream_operator.cluster.pod_state import is_alive, is_ready, metrics_url, replicas_of, seconds_since
from slipstream_operator.cluster.settings import OperatorSettings
from slipstream_operator.errors import ClusterError, ManifestError
from slipstream_operator.reconcile.desired import Desired
from slipstream_operator.reconcile.observation import Build, Observation, Served
from slipstream_operator.reconcile.plan import artifact_to_serve
from slipstream_operator.scrape import Scraper

_log = logging.getLogger(__name__)

IMMUTABLE = (kinds.CONFIG_MAP, kinds.JOB)


@dataclass(frozen=True)
class Children:
    """What there is in the cluster with an AgentDeployment's labels: by kind and name, and the pods."""

    by_kind: dict[Kind, dict[str, Document]]
    pods: tuple[Document, ...] = ()

    def find(self, kind: Kind, name: str) -> Document | None:
        """Return the child, if it is there."""
        return self.by_kind.get(kind, {}).get(name)

    def of(self, kind: Kind) -> tuple[Document, ...]:
        """Return all children of a kind."""
        return tuple(self.by_kind.get(kind, {}).values())


@dataclass
class ClusterWorld:
    """One AgentDeployment in the cluster. `live` is the object as it was read, `owner` its identity."""

    kube: Kube
    settings: OperatorSettings
    scraper: Scraper
    owner: Owner
    spec: AgentSpec
    live: Document
    children: Children = field(default_factory=lambda: Children({}))

    async def observe(self, now: float) -> Observation:
        """Return the state of build and replicas, with a fresh sample of each ready replica."""
        self.children = await self._read()
        observation = Observation(
            spec=self.spec,
            generation=self.live["metadata"]["generation"],
            build=self._build(),
            served=self._served(),
            endpoint=f"http://{self.owner.name}.{self.owner.namespace}.svc:{names.HTTP_PORT}"
            f"/v2/models/{self.owner.name}/infer",
            selector=metadata.selector_text(self.owner, RUNTIME),
            status=self.live.get("status", {}),
        )
        return replace(
            observation,
            replicas=replicas_of(self._runtime_pods(), self._revision(observation), lambda stamp: _since(stamp, now)),
            samples=await self.scraper.scrape(self._targets(), now),
        )

    async def apply(self, desired: Desired) -> None:
        """Bring about the children as wanted.

        Raises:
            ClusterError: some could not be; the others were brought about.
        """
        problems = []
        for document in family.applied(self.owner, self.spec, desired, self.settings):
            try:
                await self._apply(kinds.kind_of(document), document)
            except ClusterError as error:
                if not error.status:
                    # Nobody answers: waiting for each child's time-out would only hold up the next attempt.
                    raise
                problems.append(error)
        try:
            await self._build_and_tidy(desired)
        except ClusterError as error:
            problems.append(error)
        if problems:
            raise ClusterError("; ".join(dict.fromkeys(map(str, problems))), problems[0].status)

    async def _read(self) -> Children:
        """Read Jobs before pods: a Job that is over then has its pods' last words beside it."""
        labels = {names.LABEL_INSTANCE: self.owner.name, names.LABEL_MANAGED_BY: names.FIELD_MANAGER}
        lists = await asyncio.gather(*(self.kube.list(kind, self.owner.namespace, labels) for kind in kinds.CHILDREN))
        pods = await self.kube.list(kinds.POD, self.owner.namespace, labels)
        by_kind = {
            kind: {document["metadata"]["name"]: document for document in found}
            for kind, found in zip(kinds.CHILDREN, lists, strict=True)
        }
        return Children(by_kind, tuple(pods))

    def _job(self, recipe_digest: str) -> Document | None:
        job = self.children.find(kinds.JOB, metadata.job_name(self.owner, recipe_digest))
        return job if job is not None and metadata.is_owned(job, self.owner) else None

    def _build(self) -> Build:
        digest = self.spec.recipe.digest
        try:
            sources.claims(self.spec)
        except ManifestError as error:
            return Build("Failed", str(error), BuildSummary("InvalidSource", str(error), digest))
        job = self._job(digest)
        build = build_of(job, self._job_pods(job) if job else [])
        served = self._served()
        if build.phase == "Absent" and served is not None and served.summary.recipe_digest == digest:
            return Build("Succeeded", served.summary.message, served.summary)
        return build

    def _job_pods(self, job: Document) -> list[Document]:
        return [pod for pod in self.children.pods if _controller(pod).get("uid") == job["metadata"]["uid"]]

    def _served(self) -> Served | None:
        """Return what the Deployment says it serves, or where it was deleted, what the status and the Jobs know."""
        deployment = self.children.find(kinds.DEPLOYMENT, self.owner.name)
        if deployment is not None and metadata.is_owned(deployment, self.owner):
            return _served_by(deployment)
        digest = self.live.get("status", {}).get("artifact", {}).get("digest", "")
        replicas = self.live.get("status", {}).get("scaling", {}).get("desiredReplicas")
        jobs = [job for job in self.children.of(kinds.JOB) if metadata.is_owned(job, self.owner)]
        for summary in filter(None, map(recorded_summary, jobs)):
            if digest == f"sha256:{summary.artifact_digest}" and replicas is not None:
                return Served(summary, replicas)
        return None

    def _revision(self, observation: Observation) -> str:
        summary = artifact_to_serve(observation)
        return template_revision(self.owner, self.spec, summary, self.settings) if summary is not None else ""

    def _runtime_pods(self) -> list[Document]:
        """Return the pods of our Deployment; one that merely wears its labels has another controller or none."""
        prefix = f"{self.owner.name}-"
        return [
            pod
            for pod in self.children.pods
            if pod["metadata"]["labels"].get(names.LABEL_COMPONENT) == RUNTIME
            and _controller(pod).get("kind") == "ReplicaSet"
            and _controller(pod).get("name", "").startswith(prefix)
        ]

    def _targets(self) -> list[tuple[str, str]]:
        ready = [pod for pod in self._runtime_pods() if is_alive(pod) and is_ready(pod)]
        return [(pod["metadata"]["uid"], url) for pod in ready if (url := metrics_url(pod)) is not None]

    async def _apply(self, kind: Kind, document: Document) -> None:
        name = document["metadata"]["name"]
        live = self.children.find(kind, name)
        if live is None:
            # What lacks our labels is not in the list: it may be a stranger's namesake.
            live = await self.kube.get(kind, self.owner.namespace, name)
        if live is not None and not metadata.is_owned(live, self.owner):
            raise ClusterError(f"{kind.kind} {name} exists and belongs to someone else; delete or rename it", CONFLICT)
        if not drift.needs_apply(document, live) or (live is not None and kind in IMMUTABLE):
            return
        _log.info("%s/%s: applying %s %s", self.owner.namespace, self.owner.name, kind.kind, name)
        await self.kube.apply(kind, document)

    async def _build_and_tidy(self, desired: Desired) -> None:
        if desired.build is not None:
            await self._ensure_job(desired)
        await self._record_summary()
        if desired.serving is not None and desired.build is None:
            await self._delete_superseded(desired.serving.summary)

    async def _ensure_job(self, desired: Desired) -> None:
        recipe = self.spec.recipe
        job = self._job(recipe.digest)
        if job is not None and is_over(job):
            # Its result was lost with its pods: a new Job finds it again in the artifact store.
            await self.kube.delete(kinds.JOB, job)
        elif job is None:
            wanted = family.created(self.owner, recipe, sources.claims(self.spec), self.settings)
            _log.info("%s/%s: creating job %s", self.owner.namespace, self.owner.name, wanted["metadata"]["name"])
            await self.kube.create(kinds.JOB, wanted)

    async def _record_summary(self) -> None:
        """Keep the summary of an ended build on its Job, because pods may be collected."""
        job, build = self._job(self.spec.recipe.digest), self._build()
        if job is None or build.summary is None or not is_over(job) or recorded_summary(job) is not None:
            return
        change = {"metadata": {"annotations": {metadata.ANNOTATION_SUMMARY: build.summary.to_json()}}}
        await self.kube.merge(kinds.JOB, self.owner.namespace, job["metadata"]["name"], change)

    async def _delete_superseded(self, serving: BuildSummary) -> None:
        """Delete builds of earlier specs, but for the one that serves."""
        kept = {metadata.short(self.spec.recipe.digest), metadata.short(serving.recipe_digest)}
        for kind in (kinds.JOB, kinds.CONFIG_MAP):
            for document in self.children.of(kind):
                labels = document["metadata"]["labels"]
                stale = labels.get(names.LABEL_COMPONENT) == BUILDER and labels.get(names.LABEL_RECIPE) not in kept
                if (
                    stale
                    and metadata.is_owned(document, self.owner)
                    and "deletionTimestamp" not in document["metadata"]
                ):
                    await self.kube.delete(kind, document)


def _since(timestamp: str, now: float) -> float:
    return now - seconds_since(timestamp, time.time())


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
