"""Runs `python -m bench.soak`."""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from bench.soak.callers import Caller, HttpCaller
from bench.soak.counts import Counter, Counts
from bench.soak.crosstalk import Crowd
from bench.soak.grpc_caller import GrpcCaller
from bench.soak.grpc_requests import grpc_kinds
from bench.soak.isolation import Isolation, measure_isolation
from bench.soak.memory import LEVEL_REQUESTS, MOST_GROWTH, WINDOW_REQUESTS, Memory, own_bytes
from bench.soak.models import LAYERS, echo
from bench.soak.requests import kinds
from slipstream_testing.artifacts import write_artifact
from slipstream_testing.replicas import ReplicaProcess, replica

FULL_REQUESTS, FULL_PAIRS = 10_000_000, 100_000
CALLERS = {"loop": (192, 3), "thread": (64, 1)}
"""Callers over HTTP and over gRPC of the replica that computes on the event loop, and of the one that computes on a
thread. A gRPC caller has several calls under way and costs more to play: they make some five of a hundred requests."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Wear the runtime down; return 0 when it held."""
    options = _parser().parse_args(arguments)
    isolation = measure_isolation(options.pairs, options.seed)
    print(f"soak: {isolation.pairs} pairs with hostile batchmates, {isolation.moved} moved", flush=True)
    counter = Counter(options.state)
    counter.load()
    with tempfile.TemporaryDirectory() as scratch, _replicas(Path(scratch)) as replicas:
        memory = _wear(replicas, counter, options)
        live = all(process.process.poll() is None for process in replicas.values())
    if options.state is not None:
        options.state.unlink(missing_ok=True)  # with this verdict the run is over
    flat = memory.growth is None or memory.growth < MOST_GROWTH
    held = flat and live and counter.counts.faults == 0 and isolation.moved == 0
    print(f"soak: {'ok' if held else 'FAILED'} {_figures(counter.counts, isolation, memory)}")
    return 0 if held else 1


def _figures(counts: Counts, isolation: Isolation, memory: Memory) -> str:
    growth = memory.growth
    flat = "memory not judged, too few requests"
    if growth is not None:
        flat = f"memory {100 * growth:+.2f} % over the last {memory.requests} requests"
    return (
        f"{counts.sent} requests ({counts.grpc} over gRPC) at {counts.sent / max(counts.seconds, 1e-9):.0f}/s: "
        f"{counts.own} own answers, "
        f"{counts.left} callers left, {counts.failed} failed as told, {counts.refused} refused, "
        f"{counts.mismatched} mismatched, {counts.wrong} wrong, {counts.silent} silent; "
        f"{isolation.pairs} pairs, {isolation.moved} moved; {flat}"
    )


def _wear(replicas: dict[str, ReplicaProcess], counter: Counter, options: argparse.Namespace) -> Memory:
    """Send the requests, and return what memory the replicas held."""
    counts, begun = counter.counts, counter.counts.sent
    processes = [found.process.pid for found in replicas.values()]
    crowd, memory = Crowd(_callers(replicas, counts), counts, options.seed + begun), Memory(processes)
    printed = time.monotonic()

    def tick() -> None:
        nonlocal printed
        memory.sample(counts.sent - begun)
        if time.monotonic() - printed >= options.progress:
            printed = time.monotonic()
            counter.keep()
            held = " and ".join(f"{own_bytes(process) / 2**20:.1f}" for process in processes)
            print(f"soak: {counts.sent} of {options.requests}, {counts.faults} faults, {held} MiB", flush=True)

    try:
        crowd.run(_until(options.requests, begun), tick)
    finally:
        crowd.close()
        counter.keep()
    return memory


def _until(requests: int, begun: int) -> int:
    """Return how many to send in all: a run that goes on has new replicas, whose memory must be judged as long."""
    judged = LEVEL_REQUESTS + WINDOW_REQUESTS
    return max(requests, begun + judged) if requests >= judged else requests


def _callers(replicas: dict[str, ReplicaProcess], counts: Counts) -> list[Callable[[int], Caller]]:
    found: list[Callable[[int], Caller]] = []
    for name, running in replicas.items():
        over_http, over_grpc = CALLERS[name]
        found += [partial(HttpCaller, running.port, kinds(name), counts)] * over_http
        found += [partial(GrpcCaller, running.grpc_port, grpc_kinds(name), counts)] * over_grpc
    return found


@contextmanager
def _replicas(scratch: Path) -> Iterator[dict[str, ReplicaProcess]]:
    with ExitStack() as stack:
        found = {}
        for name, layers in (("loop", 0), ("thread", LAYERS)):
            write_artifact(scratch / name, echo(layers), name=name)
            running = replica(scratch / name, model=name, objective_milliseconds=1000, grpc_port=0)
            found[name] = stack.enter_context(running)
            # Nobody else reads its log, and a full pipe would stop it.
            threading.Thread(target=_drain, args=(found[name],), daemon=True).start()
        yield found


def _drain(process: ReplicaProcess) -> None:
    for _ in process.process.stderr or ():
        pass


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench.soak", description="Wear the runtime down; the last line is the verdict."
    )
    parser.add_argument("--requests", type=int, default=FULL_REQUESTS, help="requests in all (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=FULL_PAIRS, help="isolation pairs (default: %(default)s)")
    parser.add_argument("--state", type=Path, help="a file to keep counts in, so that an interrupted run goes on")
    parser.add_argument("--progress", type=float, default=10.0, help="seconds between progress lines")
    parser.add_argument("--seed", type=int, default=0, help="of the pattern (default: %(default)s)")
    return parser


sys.exit(main())
