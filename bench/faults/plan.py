"""Which lives are lived so that every fault strikes at every call, or every event, of every stage."""

from collections.abc import Iterator, Mapping, Sequence

from slipstream_testing.faults.life import Reference
from slipstream_testing.faults.strikes import CALL_FAULTS, EVENT_FAULTS, KILLS, Strike

KINDS: Mapping[str, Sequence[str]] = {"kills": KILLS, "calls": CALL_FAULTS, "events": EVENT_FAULTS}
FAULTS = (*KILLS, *CALL_FAULTS, *EVENT_FAULTS)

Strikes = Mapping[str, Strike]
"""One life: what strikes in which stage."""


def lives(faults: Sequence[str], reference: Reference) -> Iterator[Strikes]:
    """Give lives with one strike a stage: life number n has the fault at the n-th call of every stage that has one."""
    for fault in faults:
        counted = reference.events if Strike(fault, 1).on_events else reference.calls
        for at in range(1, max(counted.values()) + 1):
            yield {stage: Strike(fault, at) for stage, count in counted.items() if count >= at}
