"""Real runtime processes behind the addresses of pods, started with the arguments that the pods would get."""

import itertools
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from slipstream_testing.api import ApiError, Json
from slipstream_testing.deployed import Deployed

_NETWORK = f"127.{1 + os.getpid() % 250}.{1 + os.getpid() // 250 % 250}"


class RuntimePods:
    """Plays the kubelet of an agent's replicas: `sync` runs what the cluster wants run, and ends what it does not."""

    def __init__(self, agent: Deployed, artifact: Path, logs: Path) -> None:
        """Serve the artifact in this folder, whatever the digest in the pod's arguments."""
        self._agent = agent
        self._artifact = artifact
        self._logs = logs
        self._addresses = (f"{_NETWORK}.{number}" for number in itertools.count(1))
        self._running: dict[str, tuple[str, subprocess.Popen[bytes]]] = {}

    def __enter__(self) -> Self:
        """Nothing runs yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all processes."""
        for _, process in self._running.values():
            process.kill()
            process.wait()

    @property
    def addresses(self) -> list[str]:
        """The addresses of the replicas that run."""
        return [address for address, process in self._running.values() if process.poll() is None]

    def sync(self) -> int:
        """Start, report and end replicas once around, and return how many the cluster has that are not ending."""
        pods = {pod["metadata"]["uid"]: pod for pod in self._agent.replica_pods()}
        wanted = {uid: pod for uid, pod in pods.items() if "deletionTimestamp" not in pod["metadata"]}
        for uid, pod in wanted.items():
            if uid not in self._running:
                self._running[uid] = self._start(pod)
                self._report(pod, self._running[uid][0])
        for uid in set(self._running) - set(wanted):
            _, process = self._running.pop(uid)
            process.terminate()
            process.wait(30)
        self._agent.kubelet.reap_deleted_pods(self._agent.namespace)
        return len(wanted)

    def _start(self, pod: Json) -> tuple[str, "subprocess.Popen[bytes]"]:
        address = next(self._addresses)
        (container,) = pod["spec"]["containers"]
        ours = {"--artifact": str(self._artifact), "--host": address, "--keys-file": str(self._mounted_keys(pod))}
        pairs = [argument.split("=", 1) for argument in container["args"]]
        arguments = [f"{flag}={ours.get(flag, value)}" for flag, value in pairs]
        with (self._logs / f"{pod['metadata']['name']}.log").open("wb") as log:
            command = [sys.executable, *container["command"][1:], *arguments]
            return address, subprocess.Popen(command, stderr=log, stdout=log)

    def _mounted_keys(self, pod: Json) -> Path:
        """Write what the kubelet would mount of the pod's Secret."""
        (name,) = [volume["secret"]["secretName"] for volume in pod["spec"]["volumes"] if volume["name"] == "keys"]
        path = self._logs / "keys"
        path.write_bytes(self._agent.secret(name)["keys"])
        return path

    def _report(self, pod: Json, address: str) -> None:
        """Report the pod ready at its address; that a kubelet would probe first is of no matter to the operator."""
        try:
            self._agent.kubelet.bind_and_run(pod, address)
        except ApiError as error:
            if error.status not in (404, 409):
                raise
