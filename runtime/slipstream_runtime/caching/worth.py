"""Decides whether a level of the cache is worth its cost, from what it costs and what its hits save. Pure.

Looking up costs every request; a hit saves one its work. A level is used while `hit ratio * saved > cost`, all
smoothed, and is otherwise switched off. Then a sample goes on being looked up, so that the level comes back
when traffic repeats: all requests of one residue class of their content, because a sample of the *arrivals* would
hardly ever see both of two equal requests. The class changes from time to time, lest it be an unlucky one.
"""

from collections.abc import Callable

WINDOW = 2048
"""Look-ups between two verdicts."""

PATIENCE = 2
"""Windows in a row that must have lost before the level is switched off: an empty cache cannot hit yet."""

SAMPLE = 64
"""While it is off, one in so many classes of requests is looked up."""

PROBE = 256
"""Look-ups of the sample between two verdicts; that is some 16,000 requests."""

CLASS_PROBES = 8
"""Verdicts on one class of the sample before the next class has its turn."""

MARGIN = 1.25
"""How much more than its cost the level must save before it comes back, so that it does not flap."""

TIMED = 16
"""One in so many look-ups is timed; timing all would cost a tenth of what is measured."""

SMOOTHING = 0.05


class Smoothed:
    """An exponentially weighted mean, which begins at its first value."""

    __slots__ = ("count", "value")

    def __init__(self) -> None:
        self.value = 0.0
        self.count = 0

    def add(self, value: float) -> None:
        """Take in one value."""
        self.count += 1
        self.value += max(SMOOTHING, 1 / self.count) * (value - self.value)


class Worth:
    """Whether one level is used; `saved` tells the seconds a hit saves as of late, None while that is unknown."""

    __slots__ = (
        "_changed",
        "_class",
        "_lost",
        "_probes",
        "_saved",
        "active",
        "hits",
        "keep",
        "look",
        "lookups",
        "reason",
    )

    def __init__(self, saved: Callable[[], float | None], changed: Callable[["Worth"], None]) -> None:
        self._saved = saved
        self._changed = changed
        self.look = Smoothed()
        """Seconds of one look-up."""
        self.keep = Smoothed()
        """Seconds of keeping one answer."""
        self.active = True
        self.reason = "new"
        """Why it is on or off, in words."""
        self.lookups = 0
        self.hits = 0
        self._lost = 0
        self._probes = 0
        self._class = 0

    def sampled(self, number: int) -> bool:
        """Return whether a request is looked up although the level is off; `number` follows from its content."""
        return (number & (SAMPLE - 1)) == self._class

    def looked(self, *, hit: bool) -> bool:
        """Count one look-up, and return whether the next one is to be timed."""
        self.lookups += 1
        if hit:
            self.hits += 1
        if self.lookups >= (WINDOW if self.active else PROBE):
            self._judge()
        return self.lookups % TIMED == 0

    def _judge(self) -> None:
        ratio, saved = self.hits / self.lookups, self._saved()
        self.lookups = self.hits = 0
        if saved is None:
            return
        cost, gain = self.look.value + (1 - ratio) * self.keep.value, ratio * saved
        if self.active:
            self._lost = self._lost + 1 if gain < cost else 0
            if self._lost >= PATIENCE:
                self._switch(gain, cost, active=False)
        elif gain > MARGIN * cost:
            self._switch(gain, cost, active=True)
        else:
            self._probes += 1
            if self._probes % CLASS_PROBES == 0:
                self._class = (self._class + 1) % SAMPLE

    def _switch(self, gain: float, cost: float, *, active: bool) -> None:
        self.active = active
        self._lost = self._probes = 0
        self.reason = f"a look-up saves {gain * 1e6:.1f} us and costs {cost * 1e6:.1f} us"
        self._changed(self)
