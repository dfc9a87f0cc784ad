"""The node of a made-up cluster: starts pods if it can, and keeps what builders write on claims."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import count

from slipstream_contract import codec, names
from slipstream_contract.recipe import Recipe
from slipstream_contract.summary import EXIT_CODES, BuildSummary, Reason
from slipstream_testing.observations import make_summary
from slipstream_testing.states import pods
from slipstream_testing.states.store import Document, Store

BUILDS: tuple[Reason, ...] = ("Succeeded", "InvalidSource", "OutOfTime")
"""How a builder may end with a summary."""


class Node:
    """Starts what is pending as its `state` allows. `volumes` holds the artifacts on each claim, by the claim's uid."""

    def __init__(self, store: Store) -> None:
        """Begin well."""
        self._store = store
        self._addresses = (f"10.0.{number // 250}.{number % 250 + 1}" for number in count())
        self.state: pods.NodeState = "well"
        self.volumes: dict[str, set[str]] = defaultdict(set)
        self._mounted: dict[str, str] = {}
        self._recipes: dict[str, Recipe] = {}
        self.troubled = False

    def work(self) -> None:
        """Start what can be started."""
        for pod in self._store.of_kind("Pod"):
            if pods.phase(pod) == "Pending" and not pods.is_going(pod):
                self._store.change(pod, status=self._started(pod))

    def builders(self) -> list[Document]:
        """Return the build pods that run."""
        found = [pod for pod in self._store.of_kind("Pod") if _container(pod)["name"] == "builder"]
        return [pod for pod in found if pods.phase(pod) == "Running" and not pods.is_going(pod)]

    def replicas(self) -> list[Document]:
        """Return the replicas that run."""
        found = [pod for pod in self._store.of_kind("Pod") if _container(pod)["name"] == "runtime"]
        return [pod for pod in found if pods.phase(pod) == "Running" and not pods.is_going(pod)]

    def finish(self, pod: Document, reason: Reason, *, compressed: bool) -> BuildSummary:
        """End the builder `pod` with a summary; of a success the artifact is then on the claim that it mounted."""
        summary = _summary(self._recipes[pod["metadata"]["uid"]], reason, compressed=compressed)
        if summary.succeeded:
            volume = self.volumes[self._mounted[pod["metadata"]["uid"]]]
            kept = {argument.partition("=")[2] for argument in _container(pod)["args"] if "--keep=" in argument}
            volume &= kept
            volume.add(summary.artifact_digest or "")
        self.end(pod, EXIT_CODES[reason], summary.to_json())
        return summary

    def end(self, pod: Document, code: int, message: str) -> None:
        """End the pod with this exit code and these last words."""
        self._store.change(pod, status=pods.ended(pod, code, message, self._store.clock.stamp()))

    def _started(self, pod: Document) -> Document:
        """Return the status after an attempt to start the pod."""
        claim = self._claim(pod)
        container = _container(pod)["name"]
        if claim is None or self._lacks(pod):
            return pods.waiting(pod, "ContainerCreating")
        if self.state == "full":
            self.troubled = True
            before = pod["status"].get("conditions", [])
            return pod["status"] if before else pods.unplaced(self._store.clock.stamp())
        if container == "runtime" and (self.state == "crashing" or self._artifact(pod) not in self.volumes[claim]):
            self.troubled = True
            return pods.waiting(pod, "CrashLoopBackOff", "back-off restarting failed container")
        self._mounted[pod["metadata"]["uid"]] = claim
        ready = container == "runtime"
        if not ready:
            self._recipes[pod["metadata"]["uid"]] = self._recipe(pod)
        return pods.running(pod, next(self._addresses), self._store.clock.stamp(), ready=ready)

    def _claim(self, pod: Document) -> str | None:
        """Return the uid of the claim of artifacts that the pod mounts, if it is there to stay."""
        for volume in pod["spec"]["volumes"]:
            if volume["name"] == "artifacts":
                claim = self._store.find("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
                return claim["metadata"]["uid"] if claim is not None and not pods.is_going(claim) else None
        return None

    def _lacks(self, pod: Document) -> bool:
        """Return whether what the operator must make for the pod is not there: its account, token and recipe."""
        needed = [("ServiceAccount", pod["spec"]["serviceAccountName"])]
        for volume in pod["spec"]["volumes"]:
            if "configMap" in volume and not volume["configMap"].get("optional"):
                needed.append(("ConfigMap", volume["configMap"]["name"]))
            if "secret" in volume and volume["secret"]["secretName"].endswith("-keys"):
                needed.append(("Secret", volume["secret"]["secretName"]))
        return any(self._store.find(*place) is None for place in needed)

    def _recipe(self, pod: Document) -> Recipe:
        """Return the recipe that the pod's ConfigMap holds now: the builder reads it once."""
        (name,) = [v["configMap"]["name"] for v in pod["spec"]["volumes"] if v["name"] == "recipe"]
        data = self._store.objects["ConfigMap", name]["data"]
        return codec.decode_json(Recipe, data["recipe.json"], "recipe")

    @staticmethod
    def _artifact(pod: Document) -> str:
        arguments: Sequence[str] = _container(pod)["args"]
        (folder,) = [argument.rpartition("/")[2] for argument in arguments if argument.startswith("--artifact=")]
        return folder.removeprefix(names.artifact_folder(""))


def _container(pod: Document) -> Document:
    (container,) = pod["spec"]["containers"]
    found: Document = container
    return found


def _summary(recipe: Recipe, reason: Reason, *, compressed: bool) -> BuildSummary:
    if reason != "Succeeded":
        return BuildSummary(reason, "model.onnx: truncated at byte 4096", recipe.digest)
    artifact = codec.digest([recipe.digest, compressed])
    passed = {} if compressed else {"chosen": "optimized", "candidates_passed": 0}
    return make_summary(artifact, recipe_digest=recipe.digest, **passed)
