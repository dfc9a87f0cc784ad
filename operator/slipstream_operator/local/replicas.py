"""Runs replicas as processes that share one listening socket.

The parent binds the socket once and every replica inherits it, so connections wait in one accept queue: an idle
replica takes the next one, and a replica that ends loses none (with SO_REUSEPORT each listener has its own queue,
and those in a closing listener's queue are reset).
"""

import dataclasses
import itertools
import socket
from dataclasses import dataclass

from slipstream_contract.serving import ServingOptions
from slipstream_contract.summary import BuildSummary
from slipstream_operator.api.spec import AgentSpec
from slipstream_operator.errors import MachineError
from slipstream_operator.local import processes
from slipstream_operator.local.folder import StateFolder
from slipstream_operator.local.processes import Child
from slipstream_operator.reconcile.desired import revision, serving_options
from slipstream_operator.reconcile.observation import ReplicaState

BACKLOG = 1024
RESTART_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)


def listen(host: str, port: int) -> socket.socket:
    """Return the listening socket that all replicas share.

    Raises:
        MachineError: the port is in use or may not be bound.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise MachineError(f"{host}:{port}: {error.strerror}; choose another port with --port") from error
    listener.set_inheritable(True)
    return listener


def free_port() -> int:
    """Return a port of the loopback interface that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def local_options(spec: AgentSpec, summary: BuildSummary, folder: StateFolder) -> ServingOptions:
    """Return how a replica serves on this machine: what a Secret names in a cluster is a file of the folder here."""
    open_to_all = spec.serving.authentication.mode == "None"
    return dataclasses.replace(
        serving_options(spec, summary, str(folder.store), str(folder.variant)),
        threads=spec.serving.threads,
        processes=1,  # here the replicas share one socket, and processes of one replica would not
        authentication="none" if open_to_all else "keys",
        keys_file="" if open_to_all else str(folder.keys),
        cache_redis_file="",
    )


@dataclass
class LocalReplica:
    """One replica process and what is known of it."""

    uid: str
    revision: str
    child: Child
    metrics_port: int
    started_at: float
    ready: bool = False
    stopping: bool = False

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.child.returncode is None

    def url(self, path: str) -> str:
        """Return the URL of `path` on its metrics port."""
        return f"http://127.0.0.1:{self.metrics_port}{path}"


class Replicas:
    """The replicas of one deployment: started, replaced when they die, drained when they are too many."""

    def __init__(self, folder: StateFolder, listener: socket.socket) -> None:
        self._folder = folder
        self._listener = listener
        self._numbers = itertools.count(1)
        self._wanted_revision = ""
        self._deaths = 0
        self._restart_at = 0.0
        self.problem = ""
        self.running: list[LocalReplica] = []

    @property
    def address(self) -> tuple[str, int]:
        """The host and port that serve."""
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    def observe(self) -> tuple[ReplicaState, ...]:
        """Return the replicas that exist and are not on their way out."""
        return tuple(
            ReplicaState(r.uid, r.ready, r.started_at, r.revision == self._wanted_revision, self.problem)
            for r in self.running
            if not r.stopping
        )

    async def ensure(self, options: ServingOptions, count: int, now: float) -> None:
        """Bring about `count` replicas of `options`; those of another revision go once as many new ones are ready."""
        self._bury(now)
        self._wanted_revision = revision(options)
        active = [r for r in self.running if not r.stopping]
        current = [r for r in active if r.revision == self._wanted_revision]
        outdated = [r for r in active if r.revision != self._wanted_revision]
        if now >= self._restart_at:
            for _ in range(count - len(current)):
                await self._start(options, now)
        for surplus in current[count:]:
            self._drain(surplus)
        if sum(r.ready for r in current) >= min(count, len(outdated)):
            for replica in outdated:
                self._drain(replica)

    async def stop(self, patience_seconds: float) -> None:
        """Drain and end all replicas."""
        for replica in self.running:
            self._drain(replica)
        for replica in self.running:
            await replica.child.stop(patience_seconds)
        self.running.clear()

    def _drain(self, replica: LocalReplica) -> None:
        replica.stopping = True
        replica.child.terminate()

    def _bury(self, now: float) -> None:
        """Forget replicas that ended; one that was not asked to delays the next start, longer each time."""
        for replica in [r for r in self.running if not r.alive]:
            self.running.remove(replica)
            if not replica.stopping:
                delay = RESTART_SECONDS[min(self._deaths, len(RESTART_SECONDS) - 1)]
                self._deaths += 1
                self._restart_at = now + delay
                line = replica.child.last_line() or f"exit status {replica.child.returncode}"
                self.problem = f"{replica.uid} ended: {line}; trying again in {delay:.0f} s"
        if any(r.ready for r in self.running):
            self._deaths, self.problem = 0, ""

    async def _start(self, options: ServingOptions, now: float) -> None:
        uid = f"replica-{next(self._numbers)}"
        port = free_port()
        own = dataclasses.replace(options, socket_fd=self._listener.fileno(), metrics_port=port)
        arguments = ["slipstream_runtime", *own.to_arguments()]
        log = self._folder.logs / f"{uid}.log"
        log.unlink(missing_ok=True)
        child = await processes.start(arguments, log, pass_fds=[self._listener.fileno()])
        self.running.append(LocalReplica(uid, revision(options), child, port, now))
