"""Measures the operator with many AgentDeployments.

    python -m bench.fleet [--agents N] [--idle-seconds S]

Writes the table in docs/reliability.md and bench/fleet/results.json when it ran in full, and ends with
`operator: ok ...` or `operator: failed ...`. Needs root on Linux, for a network namespace.
"""

import argparse
import asyncio
import gc
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from bench.fleet import figures, kwok, network, replicas, results
from bench.fleet.fleet import Fleet
from bench.shared.folders import BenchError
from bench.shared.machine import this_machine
from slipstream_testing.audit import of_user
from slipstream_testing.control_plane import ControlPlane, provide_binaries
from slipstream_testing.faults.mirror import Mirror
from slipstream_testing.faults.node import Node
from slipstream_testing.faults.wire import Wire
from slipstream_testing.kubelet import Kubelet
from slipstream_testing.operator_process import USER

AGENTS, IDLE_SECONDS = 1000, 300
APPLIED_AGAIN = 5
"""Further AgentDeployments, each of which is timed from its apply to its first Job."""

_CRDS = sorted((Path(__file__).parents[2] / "crds").glob("*.yaml"))
_VARIANT = "pruned50-int8"
_NODE = "node-of-the-fleet"
_CHANGED_EVERY = 10
_MOST_SECONDS = 1800
_PROGRESS_SECONDS = 10
_QUIET_SECONDS = 20
"""An operator that has written nothing for so long has told everything that came of a change."""


def main() -> int:
    """Measure, judge, and return the exit code."""
    options = _arguments()
    try:
        network.enter("bench.fleet")
        found = asyncio.run(_measure(options.agents, options.idle_seconds))
    except BenchError as error:
        print(f"operator: failed {error}")
        return 1
    if (options.agents, options.idle_seconds) == (AGENTS, IDLE_SECONDS):
        results.keep(found)
    print(results.line(found))
    return 0 if all(promise.kept for promise in results.promises(found)) else 1


async def _measure(agents: int, idle: float) -> results.Results:
    binary, page = kwok.provide(), replicas.real_page(_VARIANT)
    gc.disable()  # a collection among all that the mirror holds takes a second, in which no replica would answer
    async with AsyncExitStack() as stack:
        control_plane = stack.enter_context(ControlPlane(provide_binaries(), _CRDS))
        Kubelet(control_plane.api, _NODE)  # registers the node
        player = kwok.component(binary, control_plane, _NODE)
        player.start()
        stack.callback(player.stop)
        wire = await stack.enter_async_context(
            Wire(control_plane.url, control_plane.token, control_plane.certificate_authority)
        )
        mirror = await stack.enter_async_context(Mirror(wire))
        await stack.enter_async_context(replicas.answering(page))
        fleet = Fleet(control_plane, wire, mirror, Node(wire, mirror, _NODE), agents)
        stack.enter_context(fleet.operator)
        return await _live(fleet, control_plane, agents, idle)


async def _live(fleet: Fleet, control_plane: ControlPlane, agents: int, idle: float) -> results.Results:
    begun = time.monotonic()
    await fleet.apply()
    await _until(fleet, agents, lambda: fleet.pods_ready() >= fleet.pods_asked() > 0)
    all_ready = time.monotonic() - begun
    memory = _peak(fleet)
    _say(f"all are Ready after {all_ready:.0f} s; the operator took at most {memory:.0f} MiB; it is started again")
    fleet.operator.stop()
    changed = await fleet.change(_CHANGED_EVERY)
    wanted = fleet.pods_asked() + changed
    begun = time.monotonic()
    fleet.operator.start()
    await _until(fleet, agents, lambda: fleet.pods_asked() == wanted)
    converged = time.monotonic() - begun
    _say(f"converged {converged:.1f} s after its start, with {changed} changed meanwhile")
    await _until(fleet, agents, lambda: fleet.pods_ready() == wanted)
    while await _writes(control_plane, _QUIET_SECONDS):
        _say("the status is still told what came of it")
    written = await _writes(control_plane, idle)
    _say(f"{sum(written.values())} writes in {idle:.0f} s: {written}")
    to_job = [await fleet.apply_one_more(f"more-{number}") for number in range(APPLIED_AGAIN)]
    told = await asyncio.to_thread(fleet.page)
    if told is None:
        raise BenchError("the operator does not answer")
    return results.Results(
        day=time.strftime("%Y-%m-%d", time.gmtime()),
        agents=agents,
        pods=wanted,
        all_ready=all_ready,
        converged=converged,
        memory=max(memory, _peak(fleet)),
        idle=idle,
        idle_writes=sum(written.values()),
        reconcile_p99=told.quantile(0.99),
        turns=told.turns,
        failed_turns=told.failed,
        to_job=max(to_job),
        machine=this_machine(),
    )


async def _until(fleet: Fleet, agents: int, settled: Callable[[], bool]) -> None:
    """Wait until the operator calls all Ready and `settled` is true; say how far it is now and then."""
    begun = printed = time.monotonic()
    while True:
        page = await asyncio.to_thread(fleet.page)
        ready = page.agents_ready if page else 0
        if ready >= agents and settled():
            return
        now = time.monotonic()
        if now - begun > _MOST_SECONDS:
            raise BenchError(f"{ready} of {agents} are Ready after {_MOST_SECONDS} s")
        if now - printed >= _PROGRESS_SECONDS:
            printed = now
            _say(f"{ready} of {agents} Ready, {fleet.pods_ready()} of {fleet.pods_asked()} pods")
        await asyncio.sleep(0.2)


async def _writes(control_plane: ControlPlane, seconds: float) -> dict[str, int]:
    begin = control_plane.audit_log.stat().st_size
    await asyncio.sleep(seconds)
    asked = of_user(control_plane.audit_log, USER, begin)
    return await asyncio.to_thread(figures.writes, asked)  # the replicas answer meanwhile


def _peak(fleet: Fleet) -> float:
    """Return the most memory that the operator's process has held, in MiB."""
    status = Path(f"/proc/{fleet.operator.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def _say(words: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {words}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.fleet", description="Measure the operator at scale.")
    parser.add_argument("--agents", type=int, default=AGENTS, help="AgentDeployments (default: %(default)s)")
    parser.add_argument(
        "--idle-seconds",
        type=float,
        default=IDLE_SECONDS,
        help="how long nothing may be written (default: %(default)s)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
