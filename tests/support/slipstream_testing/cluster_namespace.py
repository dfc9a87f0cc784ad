"""One namespace of a real cluster, as a test uses it."""

import json

from slipstream_testing.api import Json
from slipstream_testing.real_cluster import RealCluster

SUCCEEDED = "jsonpath={.status.phase}=Succeeded"


class Namespace:
    """The part of the cluster that one test sees."""

    def __init__(self, cluster: RealCluster, name: str) -> None:
        self._kubectl = cluster.kubectl
        self.name = name

    def apply(self, *manifests: Json) -> str:
        """Apply them, and return what kubectl says against it, if anything."""
        listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
        return self._run("apply", "-f", "-", check=False, content=listed)

    def wait(self, what: str, condition: str) -> None:
        self._run("wait", what, f"--for={condition}", "--timeout=60s")

    def log(self, pod: str) -> str:
        return self._run("logs", pod)

    def get(self, what: str) -> Json:
        found: Json = json.loads(self._run("get", what, "-o", "json"))
        return found

    def delete(self, what: str) -> None:
        self._run("delete", what)

    def _run(self, *arguments: str, check: bool = True, content: str | None = None) -> str:
        done = self._kubectl(f"--namespace={self.name}", *arguments, check=check, input=content)
        return done.stderr if done.returncode else done.stdout
