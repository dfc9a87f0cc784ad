"""How many processes serve one port, and how many threads each session has. Pure."""

from dataclasses import dataclass

from slipstream_runtime.batching.curve import Line
from slipstream_runtime.batching.runners import LOOP_SECONDS

ANSWERING_SECONDS = 60e-6
"""What reading, checking, batching and answering one row costs besides the model: measured on one core, JSON."""


@dataclass(frozen=True)
class Plan:
    """`processes` that share the port, each with a session of `threads` intra-op threads."""

    processes: int
    threads: int


def plan_processes(processes: int, threads: int, processors: float, cost: Line, provider: str = "cpu") -> Plan:
    """Return how a replica uses `processors`, from what it was told (0: decide) and what batches cost on one thread.

    Where a row costs less than the loop's hand-over to a thread, answering costs more than computing, and that is
    what one Python process does on one core only: one process a core, one thread each. Where the model is the work,
    one process forms the largest batches. An accelerator has one owner.
    """
    if processes == 0:
        cheap = provider == "cpu" and cost.seconds(1) < LOOP_SECONDS
        processes = max(1, int(processors) // max(1, threads)) if cheap else 1
    return Plan(processes, threads or plan_threads(processors / processes, cost))


def plan_threads(processors: float, cost: Line) -> int:
    """Return the threads of a session that shares `processors` with the answering of what it computes.

    A row keeps the session busy for the slope of `cost` and the event loop for ANSWERING_SECONDS, so that at full
    load n threads need n (1 + answering / slope) processors. A thread more would be descheduled in mid-batch with all
    others waiting for it: on 2 cores, at 5 ms for a batch of 32, two threads answered 0.84 times as many rows as one.
    """
    share = cost.beta / (cost.beta + ANSWERING_SECONDS)
    return max(1, min(int(processors), round(processors * share)))
