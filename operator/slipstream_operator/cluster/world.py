"""The cluster as a world to act on: observes one AgentDeployment's objects, and applies a plan to them."""

import asyncio
import logging
import time
from collections.abc import Awaitable
from dataclasses import replace

from slipstream_contract import names
from slipstream_contract.keys import new_token
from slipstream_operator.api.spec import AgentSpec
from slipstream_operator.cluster import drift, kinds, sources
from slipstream_operator.cluster.build_state import is_over, recorded_summary
from slipstream_operator.cluster.children import family, metadata
from slipstream_operator.cluster.children.deployment import Standing, failure_note, template_revision
from slipstream_operator.cluster.children.keys import keys_secret
from slipstream_operator.cluster.children.metadata import BUILDER, RUNTIME, Document, Owner
from slipstream_operator.cluster.handover import hand_over
from slipstream_operator.cluster.kube import CONFLICT, Kube
from slipstream_operator.cluster.pod_state import replicas_of, seconds_since
from slipstream_operator.cluster.reading import Reading
from slipstream_operator.cluster.settings import OperatorSettings
from slipstream_operator.errors import ClusterError
from slipstream_operator.reconcile.desired import Desired
from slipstream_operator.reconcile.observation import Observation
from slipstream_operator.reconcile.revisions import find
from slipstream_operator.reconcile.target import target_of, wanted_of
from slipstream_operator.scrape import Scraper

_log = logging.getLogger(__name__)

AT_ONCE = 4
"""Children of one AgentDeployment that are applied at once; each takes a connection, of a third of a MiB with TLS."""


class ClusterWorld:
    """One AgentDeployment in the cluster, for one turn: observe, then apply."""

    def __init__(
        self, kube: Kube, settings: OperatorSettings, scraper: Scraper, owner: Owner, spec: AgentSpec, live: Document
    ) -> None:
        self.owner = owner
        self.live = live
        self._kube = kube
        self._settings = settings
        self._scraper = scraper
        self._spec = spec
        self._reading = Reading(owner, spec, live)
        self._wanted = ""

    async def observe(self, now: float) -> Observation:
        """Return the state of build and replicas, with a fresh sample of each ready replica."""
        self._reading = reading = await self._read()
        service = f"{self.owner.name}.{self.owner.namespace}.svc:{names.HTTP_PORT}"
        observation = Observation(
            spec=self._spec,
            generation=self.live["metadata"]["generation"],
            build=reading.build(),
            served=reading.served(),
            endpoint=f"http://{service}/v2/models/{self.owner.name}/infer",
            selector=metadata.selector_text(self.owner, RUNTIME),
            status=reading.status,
            revisions=reading.revisions(),
        )
        observation, revision = self._with_rollout(observation)
        return replace(
            observation,
            replicas=replicas_of(
                reading.runtime_pods(),
                revision,
                reading.volume_since(),
                lambda at: now - seconds_since(at, time.time()),
            ),
            samples=await self._scraper.scrape(reading.targets(), now),
        )

    async def apply(self, desired: Desired) -> None:
        """Bring about the children as wanted.

        Raises:
            ClusterError: some could not be; the others were brought about.
        """
        if desired.serving is not None and desired.serving.replicas:
            await self._ensure_keys()
        documents = family.applied(self.owner, self._spec, desired, self._settings, self._standing(desired))
        for_builds = [document for document in documents if family.is_for_builds(document)]
        deployments = [document for document in documents if kinds.kind_of(document) == kinds.DEPLOYMENT]
        others = [document for document in documents if document not in (*for_builds, *deployments)]
        failed = await self._apply_all(for_builds)
        problems = [problem for _, problem in failed]
        # A Job older than its claim would look as if it had written to the claim before.
        if desired.build is not None and all(self._stands(document) for document, _ in failed):
            problems += await self._attempt(self._ensure_job())
        problems += [problem for _, problem in await self._apply_all(others)]
        problems += [problem for _, problem in await self._apply_all(deployments)]  # its pods need the others
        problems += await self._attempt(self._tidy(desired))
        if problems:
            raise ClusterError("; ".join(dict.fromkeys(map(str, problems))), problems[0].status)

    async def _read(self) -> Reading:
        """Read the children, and the pods with the last words of Jobs that are over."""
        labels = {names.LABEL_INSTANCE: self.owner.name, names.LABEL_MANAGED_BY: names.FIELD_MANAGER}
        lists = await asyncio.gather(*(self._kube.list(kind, self.owner.namespace, labels) for kind in kinds.CHILDREN))
        ended = any(is_over(job) and recorded_summary(job) is None for job in lists[kinds.CHILDREN.index(kinds.JOB)])
        # Copies of pods may lag behind those of Jobs, and an ended Job without its pods' words would be built again.
        pods = await self._kube.list(kinds.POD, self.owner.namespace, labels, fresh=ended)
        by_kind = {
            kind: {document["metadata"]["name"]: document for document in found}
            for kind, found in zip(kinds.CHILDREN, lists, strict=True)
        }
        return Reading(self.owner, self._spec, self.live, by_kind, tuple(pods))

    def _with_rollout(self, observation: Observation) -> tuple[Observation, str]:
        """Return the observation with how the rollout stands, and the revision that replicas should be of."""
        reading, good, summary = self._reading, self._reading.good(), wanted_of(observation).summary
        if summary is not None:
            self._wanted = template_revision(self.owner, self._spec, summary, self._settings)
        kept = find(observation.revisions, f"sha256:{good.artifact}") if good is not None else None
        observation = replace(
            observation,
            rollout=reading.rollout(self._wanted, time.time()),
            last_good=kept.summary if kept is not None else None,
            failed_start=reading.failed_start(self._wanted),
        )
        if good is not None and target_of(observation).reverted:
            return observation, good.template["metadata"]["annotations"][metadata.ANNOTATION_REVISION]
        return observation, self._wanted

    def _standing(self, desired: Desired) -> Standing:
        failed = desired.serving.failed if desired.serving is not None else ""
        return Standing(self._reading.good(), failure_note(self._wanted, failed) if failed else "")

    async def _apply_all(self, documents: list[Document]) -> list[tuple[Document, ClusterError]]:
        """Apply a few at a time, as each takes two calls, and return what could not be brought about, and why.

        Raises:
            ClusterError: the API server does not answer.
        """
        failed = []
        for first in range(0, len(documents), AT_ONCE):
            few = documents[first : first + AT_ONCE]
            problems = await asyncio.gather(*(self._attempt(self._apply(document)) for document in few))
            failed += [(document, problem) for document, found in zip(few, problems, strict=True) for problem in found]
        return failed

    async def _attempt(self, work: Awaitable[None]) -> list[ClusterError]:
        """Return why the `work` could not be done, or nothing.

        Raises:
            ClusterError: nobody answers: waiting for more time-outs would only hold up the next turn.
        """
        try:
            await work
        except ClusterError as error:
            if not error.status:
                raise
            return [error]
        return []

    def _stands(self, document: Document) -> bool:
        """Return whether the child is there, as it should be or as it was before."""
        found = self._reading.find(kinds.kind_of(document), document["metadata"]["name"])
        return found is not None and metadata.is_owned(found, self.owner)

    async def _apply(self, document: Document) -> None:
        kind, name = kinds.kind_of(document), document["metadata"]["name"]
        live = self._reading.find(kind, name)
        if live is None:
            # What lacks our labels is not in the list: it may be a stranger's namesake.
            live = await self._kube.get(kind, self.owner.namespace, name)
        if live is not None and not metadata.is_owned(live, self.owner):
            raise ClusterError(f"{kind.kind} {name} exists and belongs to someone else; delete or rename it", CONFLICT)
        if not drift.needs_apply(document, live) or (live is not None and live.get("immutable")):
            return
        _log.info("%s/%s: applying %s %s", self.owner.namespace, self.owner.name, kind.kind, name)
        if live is not None:
            # What was read may have been replaced meanwhile by a stranger's namesake.
            document = {**document, "metadata": {**document["metadata"], "uid": live["metadata"]["uid"]}}
        await self._kube.apply(kind, document)

    async def _ensure_keys(self) -> None:
        """Make the keys that nobody named; the operator may create Secrets but never reads one.

        So it cannot know whether they exist: it tries until all replicas are ready, which mount them.
        """
        authentication = self._spec.serving.authentication
        if authentication.mode != "Keys" or authentication.secret or self._reading.all_ready():
            return
        secret = keys_secret(self.owner, new_token())
        try:
            await self._kube.create(kinds.SECRET, secret)
        except ClusterError as error:
            if error.status != CONFLICT:
                raise
        else:
            _log.info("%s/%s: creating secret %s", self.owner.namespace, self.owner.name, secret["metadata"]["name"])

    async def _tidy(self, desired: Desired) -> None:
        await self._record_summary()
        await self._delete_superseded()
        wanted = desired.serving.replicas if desired.serving is not None else self._spec.scaling.min_replicas
        await hand_over(self._kube, self.live, self._spec, wanted)

    async def _ensure_job(self) -> None:
        job = self._reading.job()
        if job is not None and is_over(job):
            # Its result was lost with its pods: a new Job finds it again in the artifact store.
            await self._kube.delete(kinds.JOB, job)
        elif job is None:
            claims, keep = sources.claims(self._spec), self._reading.artifacts()
            wanted = family.created(self.owner, self._spec.recipe, claims, keep, self._settings)
            _log.info("%s/%s: creating job %s", self.owner.namespace, self.owner.name, wanted["metadata"]["name"])
            await self._kube.create(kinds.JOB, wanted)

    async def _record_summary(self) -> None:
        """Keep the summary of an ended build on its Job, because pods may be collected."""
        job, build = self._reading.job(), self._reading.build()
        if job is None or build.summary is None or not is_over(job) or recorded_summary(job) is not None:
            return
        change = {"metadata": {"annotations": {metadata.ANNOTATION_SUMMARY: build.summary.to_json()}}}
        await self._kube.merge(kinds.JOB, self.owner.namespace, job["metadata"]["name"], change)

    async def _delete_superseded(self) -> None:
        """Delete the builds of earlier specs, also those that run; what served of them is among the revisions."""
        current = metadata.short(self._spec.recipe.digest)
        for kind in (kinds.JOB, kinds.CONFIG_MAP):
            for document in self._reading.owned(kind):
                labels = document["metadata"]["labels"]
                stale = labels.get(names.LABEL_COMPONENT) == BUILDER and labels.get(names.LABEL_RECIPE) != current
                if stale and "deletionTimestamp" not in document["metadata"]:
                    await self._kube.delete(kind, document)
