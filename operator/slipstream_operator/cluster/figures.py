"""The operator's own metrics in Prometheus' text format, from what the process knows of itself."""

import dataclasses
import itertools
import os
import resource
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from slipstream_operator.cluster.health import Health
from slipstream_operator.cluster.turns import EDGES_SECONDS, Turns

CONTENT_TYPE = "text/plain; version=0.0.4"
PREFIX = "slipstream_operator_"

HEALTH = {
    "leading": ("leading", "gauge", "1 in the operator that acts, 0 in one that stands by."),
    "resync_age_seconds": ("resync_age_seconds", "gauge", "Since the last attempt to list all AgentDeployments."),
    "queue_age_seconds": ("queue_age_seconds", "gauge", "How long the most overdue key has waited for its turn."),
    "watch_age_seconds": ("watch_age_seconds", "gauge", "For how long a watch has stood still; a quiet one has not."),
    "watch_restarts": ("watch_restarts_total", "counter", "How often the watches had to begin anew."),
    "ready": ("ready", "gauge", "1 in the operator that stands by, or leads and has seen its cluster."),
    "loop_lag_seconds": ("loop_lag_seconds", "gauge", "By how much the event loop was last late."),
}
"""Of each field of the health: its metric's name, kind and help."""


@dataclass(frozen=True)
class Process:
    """What the system says of this process."""

    version: str
    cpu_seconds: float
    resident_bytes: int


def this_process() -> Process:
    """Return what the system says of the process that runs this."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Process(
        metadata.version("slipstream-operator"), used.ru_utime + used.ru_stime, pages * os.sysconf("SC_PAGE_SIZE")
    )


def text(health: Health, turns: Turns, readiness: Mapping[str, int], process: Process) -> str:
    """Return the page; `readiness` counts the AgentDeployments by the status of their condition Ready."""
    families = (_of_health(health), _of_turns(turns), _of_agents(readiness), _of_process(process))
    return "\n".join([*itertools.chain.from_iterable(families), ""])


def _of_health(health: Health) -> Iterator[str]:
    for field, value in dataclasses.asdict(health).items():
        name, kind, words = HEALTH[field]
        yield from _family(f"{PREFIX}{name}", kind, words)
        yield f"{PREFIX}{name} {float(value):.9g}"


def _of_turns(turns: Turns) -> Iterator[str]:
    name = f"{PREFIX}turns_total"
    done = sum(turns.counts)
    yield from _family(name, "counter", "Turns of AgentDeployments, by how they ended.")
    yield f'{name}{{result="failed"}} {turns.failed}'
    yield f'{name}{{result="succeeded"}} {done - turns.failed}'
    name = f"{PREFIX}turn_seconds"
    yield from _family(name, "histogram", "How long a turn took.")
    edges = [*(f"{edge:g}" for edge in EDGES_SECONDS), "+Inf"]
    for edge, count in zip(edges, itertools.accumulate(turns.counts), strict=True):
        yield f'{name}_bucket{{le="{edge}"}} {count}'
    yield f"{name}_sum {turns.seconds:.9g}"
    yield f"{name}_count {done}"


def _of_agents(readiness: Mapping[str, int]) -> Iterator[str]:
    name = f"{PREFIX}agent_deployments"
    yield from _family(name, "gauge", "AgentDeployments that this operator leads, by their condition Ready.")
    for status in ("True", "False", "Unknown"):
        yield f'{name}{{ready="{status}"}} {readiness.get(status, 0)}'


def _of_process(process: Process) -> Iterator[str]:
    yield from _family(f"{PREFIX}build_info", "gauge", "The operator's version.")
    yield f'{PREFIX}build_info{{version="{process.version}"}} 1'
    yield from _family("process_cpu_seconds_total", "counter", "Processor time used.")
    yield f"process_cpu_seconds_total {process.cpu_seconds:.9g}"
    yield from _family("process_resident_memory_bytes", "gauge", "Memory in use.")
    yield f"process_resident_memory_bytes {process.resident_bytes}"


def _family(name: str, kind: str, words: str) -> tuple[str, str]:
    return f"# HELP {name} {words}", f"# TYPE {name} {kind}"
