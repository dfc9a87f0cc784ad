"""How many processes serve one port, and the threads of each session; replica and operator decide alike."""

from dataclasses import dataclass

from slipstream_contract.manifest import LatencyCurve

LOOP_SECONDS = 200e-6
"""Below this for one row the hand-over to a thread and back costs more than the event loop's standstill."""

ANSWERING_SECONDS = 60e-6
"""What reading, checking, batching and answering one row costs besides the model: measured on one core, JSON."""

PROCESS_BYTES = 160 * 2**20
"""What one process takes besides its model: 100 MB measured with gRPC and its pages, and room for requests."""

SESSION_FACTOR = 3.0
"""A session's memory in bytes of its file, measured 1.7 to 2.5 for models of 20 to 90 MB with batches of 32."""

MEMORY_SHARE = 0.5
"""Of the memory of one process, what the sessions of all variants may be expected to take."""


@dataclass(frozen=True)
class Plan:
    """`processes` that share the port, each with a session of `threads` intra-op threads."""

    processes: int
    threads: int


def plan_processes(
    processes: int, threads: int, processors: float, cost: LatencyCurve | None, provider: str = "cpu"
) -> Plan:
    """Return how a replica uses `processors`, from what it was told (0: decide) and what batches cost on one thread.

    Where a row costs less than the loop's hand-over to a thread, answering costs more than computing, and that is
    what one Python process does on one core only: one process a core, one thread each. Where the model is the work,
    or its `cost` is not known, one process forms the largest batches. An accelerator has one owner.
    """
    if processes == 0:
        cheap = provider == "cpu" and cost is not None and cost.seconds(1) < LOOP_SECONDS
        processes = max(1, int(processors) // max(1, threads)) if cheap else 1
    return Plan(processes, threads or plan_threads(processors / processes, cost))


def plan_threads(processors: float, cost: LatencyCurve | None) -> int:
    """Return the threads of a session that shares `processors` with the answering of what it computes.

    A row keeps the session busy for the slope of `cost` and the event loop for ANSWERING_SECONDS, so that at full
    load n threads need n (1 + answering / slope) processors. A thread more would be descheduled in mid-batch with all
    others waiting for it: on 2 cores, at 5 ms for a batch of 32, two threads answered 0.84 times as many rows as one.
    """
    share = cost.beta_seconds / (cost.beta_seconds + ANSWERING_SECONDS) if cost is not None else 0.0
    return max(1, min(int(processors), round(processors * share)))


def fitting_processes(memory_bytes: int, model_bytes: int, cache_bytes: int) -> int:
    """Return how many processes with a session of a `model_bytes` file each fit into a replica's memory; at least one.

    They share `cache_bytes` between them.
    """
    each = PROCESS_BYTES + round(SESSION_FACTOR * model_bytes)
    return max(1, (memory_bytes - cache_bytes) // each)
