"""A user of Slipstream on a real cluster: one namespace, seen and changed with kubectl alone."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from slipstream_testing.api import Json
from slipstream_testing.kubectl import Kubectl
from slipstream_testing.waiting import eventually

RUNTIME = "app.kubernetes.io/component=runtime"
OURS = "app.kubernetes.io/managed-by=slipstream-operator"
CHILDREN = (
    "jobs,deployments,replicasets,pods,services,networkpolicies,poddisruptionbudgets,serviceaccounts,"
    "persistentvolumeclaims,configmaps,secrets"
)


@dataclass(frozen=True)
class Tenant:
    """One namespace; every question is asked anew."""

    kubectl: Kubectl
    namespace: str

    def __call__(self, *arguments: str, check: bool = True) -> str:
        """Run kubectl here, and return what it prints."""
        return self.kubectl(f"--namespace={self.namespace}", *arguments, check=check).stdout

    def apply(self, *manifests: Json, flags: Sequence[str] = ()) -> None:
        """Apply them, with further flags of kubectl's."""
        self.kubectl(f"--namespace={self.namespace}", "apply", *flags, "-f", "-", input=_listed(manifests))

    def diff(self, *manifests: Json, flags: Sequence[str] = ()) -> str:
        """Say as `kubectl diff` does what applying them would change: nothing if they are applied."""
        where = f"--namespace={self.namespace}"
        return self.kubectl(where, "diff", *flags, "-f", "-", input=_listed(manifests), check=False).stdout

    def patch(self, agent: str, **spec: object) -> None:
        """Change entries of an AgentDeployment's spec."""
        self("patch", "agd", agent, "--type=merge", f"--patch={json.dumps({'spec': spec})}")

    def get(self, kind: str, *arguments: str) -> Json:
        """Read an object or, without a name, a list."""
        found: Json = json.loads(self("get", kind, *arguments, "--output=json"))
        return found

    def wait(self, what: str, condition: str, seconds: int = 60) -> None:
        """Wait for a condition of kubectl's."""
        self("wait", what, f"--for={condition}", f"--timeout={seconds}s")

    def upload(self, name: str, *files: Path) -> None:
        """Put files into a ConfigMap."""
        self("create", "configmap", name, *(f"--from-file={file}" for file in files))

    def token(self, agent: str) -> str:
        """Read the bearer token that was made for an AgentDeployment."""
        return base64.b64decode(self.get("secret", f"{agent}-keys")["data"]["token"]).decode()

    def replicas(self, agent: str) -> list[Json]:
        """Read the replicas' pods, those on their way out too."""
        selector = f"--selector=app.kubernetes.io/instance={agent},{RUNTIME}"
        return list(self.get("pods", selector)["items"])

    def children(self) -> list[str]:
        """Name what the operator made here, and what came of that."""
        return self("get", CHILDREN, f"--selector={OURS}", "--output=name").split()

    def settled(self, agent: str, replicas: int, seconds: float = 120) -> list[Json]:
        """Wait until exactly so many replicas are there, all of the current revision and ready, none on its way out."""

        def now() -> list[Json]:
            pods = self.replicas(agent)
            status = self.get("deployment", agent)
            observed = status["status"].get("observedGeneration") == status["metadata"]["generation"]
            updated = status["status"].get("updatedReplicas", 0)
            return pods if observed and updated == replicas and all(map(is_ready, pods)) else []

        return eventually(now, timeout=seconds, until=lambda pods: len(pods) == replicas)

    def follow(self, pod: str, until: Callable[[list[Json]], object], seconds: float) -> list[Json]:
        """Read the JSON lines that a pod prints until they satisfy `until`."""
        return eventually(lambda: json_lines(self("logs", pod, check=False)), timeout=seconds, until=until)


def _listed(manifests: Sequence[Json]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})


def json_lines(text: str) -> list[Json]:
    """The documents of a log with one on a line; a line that is still being written is left out."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]


def is_ready(pod: Json) -> bool:
    """Whether a pod serves and stays."""
    conditions = {found["type"]: found["status"] for found in pod["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]
