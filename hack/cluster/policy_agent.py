"""Keep the node's firewall as the cluster's NetworkPolicy objects say: watch, compile, replace the table at once.

Run inside the cluster's namespaces with the folder that holds the certificates.
"""

import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from threading import Event, Thread
from typing import Any

from layout import API_PORT, NODE_ADDRESS, PODS
from policy_rules import table, world

_PATHS = {
    "policies": "/apis/networking.k8s.io/v1/networkpolicies",
    "pods": "/api/v1/pods",
    "namespaces": "/api/v1/namespaces",
}
_RETRY_SECONDS = 0.5
_WATCH_SECONDS = 300


class _Seen:
    """The objects of one kind, kept up to date by a thread of its own."""

    def __init__(self, path: str, context: ssl.SSLContext, changed: Event) -> None:
        self._path = path
        self._context = context
        self._changed = changed
        self._objects: dict[str, Any] = {}
        self.is_known = False
        Thread(target=self._follow, daemon=True).start()

    def objects(self) -> list[Any]:
        """As they are now."""
        return list(self._objects.values())

    def _follow(self) -> None:
        while True:
            try:
                self._list_and_watch()
            except (OSError, HTTPException, ValueError, KeyError) as error:
                print(f"{self._path}: {error}; asking again", file=sys.stderr, flush=True)
                time.sleep(_RETRY_SECONDS)

    def _list_and_watch(self) -> None:
        (listed,) = self._ask(self._path)
        self._objects = {one["metadata"]["uid"]: one for one in listed["items"]}
        self.is_known = True
        self._changed.set()
        version = listed["metadata"]["resourceVersion"]
        query = f"watch=1&resourceVersion={version}&timeoutSeconds={_WATCH_SECONDS}"
        for event in self._ask(f"{self._path}?{query}"):
            self._take(event["type"], event["object"])

    def _take(self, kind: str, one: Any) -> None:
        if kind == "ERROR":
            raise ValueError(one["message"])
        objects = dict(self._objects)  # another thread may be reading the present one
        objects.pop(one["metadata"]["uid"], None)
        if kind != "DELETED":
            objects[one["metadata"]["uid"]] = one
        self._objects = objects
        self._changed.set()

    def _ask(self, target: str) -> Iterator[Any]:
        """Every line of the answer, as it comes."""
        connection = HTTPSConnection(NODE_ADDRESS, API_PORT, context=self._context, timeout=_WATCH_SECONDS + 30)
        try:
            connection.request("GET", target)
            response = connection.getresponse()
            if response.status != 200:
                raise ValueError(f"status {response.status}")
            while line := response.readline():
                yield json.loads(line)
        finally:
            connection.close()


def main() -> None:
    """Run until killed."""
    keys = Path(sys.argv[1])
    context = ssl.create_default_context(cafile=keys / "authority.crt")
    context.load_cert_chain(keys / "network-policies.crt", keys / "network-policies.key")
    changed = Event()
    seen = {name: _Seen(path, context, changed) for name, path in _PATHS.items()}
    enforced = ""
    while changed.wait():
        changed.clear()
        if all(one.is_known for one in seen.values()):
            wanted = table(world(**{name: one.objects() for name, one in seen.items()}), str(PODS))
            if wanted != enforced:
                subprocess.run(["nft", "-f", "-"], input=wanted, text=True, check=True)
                enforced = wanted


if __name__ == "__main__":
    main()
