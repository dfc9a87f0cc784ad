"""Runs `python -m bench.soak`."""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.soak.crosstalk import Counter, Counts, Crowd
from bench.soak.isolation import Isolation, measure_isolation
from bench.soak.memory import Memory, own_bytes
from bench.soak.models import LAYERS, echo
from bench.soak.requests import kinds
from slipstream_testing.artifacts import write_artifact
from slipstream_testing.replicas import ReplicaProcess, replica

FULL_REQUESTS, FULL_PAIRS = 10_000_000, 100_000
CALLERS = {"loop": 192, "thread": 64}
"""Callers of the replica that computes on the event loop, and of the one that computes on a thread."""

LEVEL_REQUESTS = 1_000_000
"""Memory is flat when it grows by less than MOST_GROWTH after so many requests, when all pools are full."""

MOST_GROWTH = 0.01


def main(arguments: Sequence[str] | None = None) -> int:
    """Wear the runtime down; return 0 when it held."""
    options = _parser().parse_args(arguments)
    isolation = measure_isolation(options.pairs, options.seed)
    print(f"soak: {isolation.pairs} pairs with hostile batchmates, {isolation.moved} moved", flush=True)
    counter = Counter(options.state)
    counter.load()
    with tempfile.TemporaryDirectory() as scratch, _replicas(Path(scratch)) as replicas:
        growth = _wear(replicas, counter, options)
        live = all(process.process.poll() is None for process in replicas.values())
    if options.state is not None:
        options.state.unlink(missing_ok=True)  # with this verdict the run is over
    held = (growth is None or growth < MOST_GROWTH) and live and counter.counts.faults == 0 and isolation.moved == 0
    print(f"soak: {'ok' if held else 'FAILED'} {_figures(counter.counts, isolation, growth)}")
    return 0 if held else 1


def _figures(counts: Counts, isolation: Isolation, growth: float | None) -> str:
    flat = "memory not judged, too few requests" if growth is None else f"memory {100 * growth:+.2f} %"
    return (
        f"{counts.sent} requests at {counts.sent / max(counts.seconds, 1e-9):.0f}/s: {counts.own} own answers, "
        f"{counts.left} callers left, {counts.failed} failed as told, {counts.refused} refused, "
        f"{counts.mismatched} mismatched, {counts.wrong} wrong, {counts.silent} silent; "
        f"{isolation.pairs} pairs, {isolation.moved} moved; {flat}"
    )


def _wear(replicas: dict[str, ReplicaProcess], counter: Counter, options: argparse.Namespace) -> float | None:
    """Send the requests, and return by what share the memory grew."""
    counts, begun = counter.counts, counter.counts.sent
    targets = [(found.port, kinds(name), CALLERS[name]) for name, found in replicas.items()]
    processes = [found.process.pid for found in replicas.values()]
    crowd, memory = Crowd(targets, counts, options.seed + counts.sent), Memory(processes)
    printed = time.monotonic()

    def tick() -> None:
        nonlocal printed
        if counts.sent - begun >= LEVEL_REQUESTS:
            memory.sample()
        if time.monotonic() - printed >= options.progress:
            printed = time.monotonic()
            counter.keep()
            held = " and ".join(f"{own_bytes(process) / 2**20:.1f}" for process in processes)
            print(f"soak: {counts.sent} of {options.requests}, {counts.faults} faults, {held} MiB", flush=True)

    try:
        crowd.run(options.requests, tick)
    finally:
        crowd.close()
        counter.keep()
    return memory.growth


@contextmanager
def _replicas(scratch: Path) -> Iterator[dict[str, ReplicaProcess]]:
    with ExitStack() as stack:
        found = {}
        for name, layers in (("loop", 0), ("thread", LAYERS)):
            write_artifact(scratch / name, echo(layers), name=name)
            running = replica(scratch / name, model=name, objective_milliseconds=1000)
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
