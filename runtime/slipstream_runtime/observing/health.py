"""Whether the replica lives and is ready."""

from collections.abc import Callable

WEDGED_SECONDS = 60.0
"""A batch that runs this long will not end: the session is stuck and the replica must be started again."""


class Health:
    """What the probes report."""

    def __init__(self, running_seconds: Callable[[], float], exhausted: Callable[[], bool] = lambda: False) -> None:
        self._running_seconds = running_seconds
        self._exhausted = exhausted
        self.serving = False
        self.draining = False

    @property
    def live(self) -> bool:
        """Whether the session still ends its batches."""
        return self._running_seconds() < WEDGED_SECONDS

    @property
    def ready(self) -> bool:
        """Whether new requests are welcome and can be answered: the device's memory may be exhausted for good."""
        return self.serving and not self.draining and self.live and not self._exhausted()
