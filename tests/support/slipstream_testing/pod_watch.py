"""Notes when the pods of a namespace change, as the API server tells it: object timestamps know whole seconds only."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread
from typing import Self

from slipstream_testing.kubectl import Kubectl
from slipstream_testing.waiting import eventually

_COMPONENT = r"{.object.metadata.labels.app\.kubernetes\.io/component}"
_RUNNING = "{.object.status.containerStatuses[0].state.running.startedAt}"
_ENDED = "{.object.status.containerStatuses[0].state.terminated.finishedAt}"
_READY = '{.object.status.conditions[?(@.type=="Ready")].status}'
_FORMAT = f'{_COMPONENT}|{_RUNNING}|{_ENDED}|{_READY}{{"\\n"}}'


@dataclass(frozen=True)
class Seen:
    """A pod's state, and the second at which it was told."""

    at: float
    component: str
    runs: bool
    ended: bool
    ready: bool


@dataclass(frozen=True)
class Start:
    """What an agent's way from the end of its build to its first replica was made of, in seconds."""

    to_pod: float
    to_running: float
    to_ready: float

    def __str__(self) -> str:
        """Say whose part was how long: the pod's making and the runtime's start are ours, what lies between is not."""
        ours, whole = self.to_pod + self.to_ready, self.to_pod + self.to_running + self.to_ready
        parts = f"{self.to_pod:.2f} s to the pod, {self.to_running:.2f} s to running, {self.to_ready:.2f} s to Ready"
        return f"{whole:.2f} s ({parts}: {ours:.2f} s without the kubelet's part)"


class PodWatch:
    """A watch for the length of a `with` block."""

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        """Prepare; nothing is watched yet."""
        flags = ["--watch", "--output-watch-events", f"--output=jsonpath={_FORMAT}"]
        identity = [f"--kubeconfig={kubectl.kubeconfig}", f"--cache-dir={kubectl.cache}", f"--namespace={namespace}"]
        self._command = [str(kubectl.binary), *identity, "get", "pods", *flags]
        self._seen: list[Seen] = []

    def __enter__(self) -> Self:
        """Start to watch."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the watch."""
        self._process.terminate()
        self._reader.join()
        with self._process:  # closes its end of the pipe, and waits
            pass

    def first(self, fits: Callable[[Seen], bool], seconds: float) -> Seen:
        """Wait for the first state that fits, and return it."""
        return eventually(lambda: [seen for seen in list(self._seen) if fits(seen)], timeout=seconds)[0]

    def start(self) -> Start:
        """Return how an agent's first replica started, which has done so."""
        built = self.first(lambda seen: seen.component == "builder" and seen.ended, 5).at
        made = self.first(lambda seen: seen.component == "runtime", 5).at
        runs = self.first(lambda seen: seen.component == "runtime" and seen.runs, 5).at
        ready = self.first(lambda seen: seen.component == "runtime" and seen.ready, 5).at
        return Start(made - built, runs - made, ready - runs)

    def _read(self) -> None:
        for line in self._process.stdout or ():
            component, started, ended, ready = line.rstrip("\n").split("|")
            self._seen.append(Seen(time.time(), component, started != "", ended != "", ready == "True"))
