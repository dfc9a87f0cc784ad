"""What one reconcile hands to the next: the window of samples and the scaling's state. Losing it only costs time."""

from dataclasses import dataclass, field, replace

from slipstream_operator.reconcile.observation import Observation
from slipstream_operator.reconcile.variants import Switching
from slipstream_operator.scaling.model import State
from slipstream_operator.scaling.samples import Window

DEFAULT_START_SECONDS = 10.0
_SMOOTHING = 0.3


@dataclass(frozen=True)
class Memory:
    """The memory of one AgentDeployment.

    `start_seconds` is the smoothed time from starting a replica to its first being seen ready; `unready` the
    replicas whose start is still being timed.
    """

    window: Window = field(default_factory=Window)
    scaling: State = field(default_factory=State)
    start_seconds: float = DEFAULT_START_SECONDS
    unready: frozenset[str] = frozenset()
    switching: Switching = field(default_factory=Switching)

    def after(self, observation: Observation, now: float) -> "Memory":
        """Return the memory with the observation's samples and start times taken in."""
        start_seconds = self.start_seconds
        for replica in observation.replicas:
            if replica.ready and replica.uid in self.unready:
                start_seconds += _SMOOTHING * (now - replica.started_at - start_seconds)
        return replace(
            self,
            window=self.window.add(observation.samples).trim(now),
            start_seconds=start_seconds,
            unready=frozenset(r.uid for r in observation.replicas if not r.ready),
        )
