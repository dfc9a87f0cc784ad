"""What may go wrong at one call or one event, by name: pure."""

from dataclasses import dataclass

KILLS = ("kill before", "kill after")
"""The operator dies by SIGKILL: its call never arrives, or it arrives and its answer does not."""

REFUSALS = {"409": "Conflict", "410": "Expired", "422": "Invalid", "429": "TooManyRequests",
            "500": "InternalError", "503": "ServiceUnavailable"}  # fmt: skip
"""Statuses that the API server answers with instead of acting, and Kubernetes' words for them."""

CALL_FAULTS = (
    *REFUSALS,
    "500 after commit",
    "time-out",
    "time-out after commit",
    "reset",
    "reset after commit",
    "truncated",
    "slow",
    "stale",
)
"""What may happen to a call; `stale` to lists, which then show an earlier moment."""

EVENT_FAULTS = (
    "watch drop",
    "watch reset",
    "watch truncated",
    "watch garbage",
    "watch 410",
    "watch 500",
    "event twice",
    "event late",
    "events reordered",
)
"""What may happen to an event of a watch and to the watch with it."""

STALE_LISTS = 10
"""Lists in a row: of the AgentDeployments, of all kinds of children, and of pods."""


@dataclass(frozen=True)
class Strike:
    """A `fault` at the call or event number `at` of a stage, counted from 1, and at the `times` - 1 calls after it."""

    fault: str
    at: int
    times: int = 1

    @property
    def kills(self) -> bool:
        """Whether it ends the operator."""
        return self.fault in KILLS

    @property
    def on_events(self) -> bool:
        """Whether it counts events of watches rather than calls."""
        return self.fault in EVENT_FAULTS

    @property
    def commits(self) -> bool:
        """Whether the call reaches the API server although its answer does not come as it should."""
        return self.fault.endswith("after commit") or self.fault in ("kill after", "truncated")
