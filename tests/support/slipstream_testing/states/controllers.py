"""What Kubernetes' own controllers make of Jobs and Deployments, one step at a time."""

import math

from slipstream_contract.summary import EXIT_CODES
from slipstream_testing.states import pods
from slipstream_testing.states.store import Document, Store, controller_uid

_MISTAKE = EXIT_CODES["InvalidSource"]


class Controllers:
    """Brings a store's Jobs and Deployments forward; objects without a controlling owner are nobody's business here."""

    def __init__(self, store: Store) -> None:
        """Work on the store."""
        self._store = store
        self._progress: dict[str, tuple[object, float]] = {}

    def work(self) -> None:
        """Do one step of everything."""
        store = self._store
        for pod in store.of_kind("Pod"):
            if pods.is_going(pod):
                store.remove(pod)
        for claim in store.of_kind("PersistentVolumeClaim"):
            if pods.is_going(claim) and not any(pods.holds(pod, claim) for pod in store.of_kind("Pod")):
                store.remove(claim)
        store.collect()
        for job in store.of_kind("Job"):
            if controller_uid(job) and not job_over(job):
                self._job(job)
        for deployment in store.of_kind("Deployment"):
            if controller_uid(deployment):
                self._deployment(deployment)

    def _job(self, job: Document) -> None:
        mine = self._store.owned("Pod", job["metadata"]["uid"])
        failed = [pod for pod in mine if pods.phase(pod) == "Failed"]
        if any(pods.phase(pod) == "Succeeded" for pod in mine):
            self._end(job, "Complete", "")
        elif any(_exit_code(pod) == _MISTAKE for pod in failed):
            self._end(job, "Failed", "PodFailurePolicy")
        elif len(failed) > job["spec"]["backoffLimit"]:
            self._end(job, "Failed", "BackoffLimitExceeded")
        elif len(failed) == len(mine):
            self._store.put(pods.pod_of(job, job["spec"]["template"], f"{job['metadata']['name']}-{len(mine)}"))
        if failed:
            live = self._store.find("Job", job["metadata"]["name"]) or job
            self._store.change(live, status={**live.get("status", {}), "failed": len(failed)})

    def _end(self, job: Document, kind: str, reason: str) -> None:
        self._store.change(job, status={"conditions": [{"type": kind, "status": "True", "reason": reason}]})

    def _deployment(self, deployment: Document) -> None:
        spec = deployment["spec"]
        name, wanted = deployment["metadata"]["name"], spec["replicas"]
        current = self._replica_set(deployment, f"{name}-{pods.digest(spec['template'])}")
        new = [pod for pod in self._store.owned("Pod", current["metadata"]["uid"]) if not pods.is_going(pod)]
        old = self._older(deployment, current)
        limits = spec["strategy"]["rollingUpdate"]
        surge = math.ceil(wanted / 4) if limits["maxSurge"] else 0
        for pod in [pod for pod in (*new, *old) if pods.is_over(pod)]:
            self._store.remove(pod)
        new, old = ([pod for pod in group if not pods.is_over(pod)] for group in (new, old))
        room = max(0, min(wanted - len(new), wanted + surge - len(new) - len(old)))
        for _ in range(room):
            number = self._store.clock.seconds
            pod = pods.pod_of(current, spec["template"], f"{current['metadata']['name']}-{number:g}-{_}")
            self._store.put(pod)
        for pod in sorted(new, key=pods.is_ready)[: max(0, len(new) - wanted)]:
            pods.evict(self._store, pod)
        self._retire(old, new, wanted - limits["maxUnavailable"])
        self._report(deployment, new, old)

    def _replica_set(self, deployment: Document, name: str) -> Document:
        found = self._store.find("ReplicaSet", name)
        if found is not None and controller_uid(found) == deployment["metadata"]["uid"]:
            return found
        return self._store.put({**pods.pod_of(deployment, {"metadata": {}, "spec": {}}, name), "kind": "ReplicaSet"})

    def _older(self, deployment: Document, current: Document) -> list[Document]:
        sets = self._store.owned("ReplicaSet", deployment["metadata"]["uid"])
        others = [one["metadata"]["uid"] for one in sets if one["metadata"]["name"] != current["metadata"]["name"]]
        return [pod for uid in others for pod in self._store.owned("Pod", uid) if not pods.is_going(pod)]

    def _retire(self, old: list[Document], new: list[Document], least: int) -> None:
        """Let old pods go: those that do not answer first, and of the others as many as can be missed."""
        unready = [pod for pod in old if not pods.is_ready(pod)]
        spare = len(old) + sum(map(pods.is_ready, new)) - least
        answering = sum(map(pods.is_ready, (*old, *new)))
        doomed = unready[: max(0, spare)]
        for pod in [pod for pod in old if pods.is_ready(pod)][: max(0, answering - least)]:
            doomed.append(pod)
        for pod in doomed:
            pods.evict(self._store, pod)

    def _report(self, deployment: Document, new: list[Document], old: list[Document]) -> None:
        uid, now = deployment["metadata"]["uid"], self._store.clock.seconds
        ready, generation = sum(map(pods.is_ready, new)), deployment["metadata"]["generation"]
        state = (generation, len(new), ready, len(old))
        if self._progress.get(uid, (None, 0.0))[0] != state:
            self._progress[uid] = (state, now)
        done = ready == deployment["spec"]["replicas"] and not old
        late = now - self._progress[uid][1] > deployment["spec"]["progressDeadlineSeconds"]
        reason = "NewReplicaSetAvailable" if done else "ProgressDeadlineExceeded" if late else "ReplicaSetUpdated"
        condition = {"type": "Progressing", "status": str(done or not late), "reason": reason}
        self._store.change(deployment, status={"observedGeneration": generation, "conditions": [condition]})


def job_over(job: Document) -> str:
    """Return the type of the condition that ended the Job, or nothing."""
    conditions = job.get("status", {}).get("conditions", [])
    return next((c["type"] for c in conditions if c["type"] in ("Complete", "Failed")), "")


def _exit_code(pod: Document) -> int:
    (container,) = pod["status"]["containerStatuses"]
    code: int = container["state"]["terminated"]["exitCode"]
    return code
