"""Replicas' figures in place of scraped ones."""

import math
from collections.abc import Iterable
from dataclasses import replace

from slipstream_operator.scaling.samples import ReplicaSample
from slipstream_testing.observations import sample

RATES = (0.0, 5.0, 400.0, 20000.0)
"""Requests per second of all replicas together."""

FIGURES = ("good", "missing", "some missing", "hostile", "slow")
"""What replicas say: the truth, nothing, nothing by every other, numbers that are none, or that half is too slow."""


class FiguresDouble:
    """Scrapes as the operator's scraper does: replicas that share `rate` requests per second, and tell them so."""

    def __init__(self) -> None:
        """Begin idle."""
        self.rate = 0.0
        self.figures = "good"
        self._counted: dict[str, tuple[float, float]] = {}

    async def scrape(self, targets: Iterable[tuple[str, str]], at: float) -> tuple[ReplicaSample, ...]:
        """Return the samples of those that answer."""
        uids = sorted(uid for uid, _ in targets)
        found = [self._sample(uid, at, self.rate / len(uids)) for uid in uids]
        kept = {"missing": 0, "some missing": len(found) // 2}.get(self.figures, len(found))
        return tuple(found[:kept])

    async def close(self) -> None:
        """Nothing is open."""

    def _sample(self, uid: str, at: float, rate: float) -> ReplicaSample:
        requests, since = self._counted.get(uid, (0.0, at))
        requests += rate * (at - since)
        self._counted[uid] = (requests, at)
        told = sample(uid, at, requests, slow=0.5 if self.figures == "slow" else 0.0)
        return replace(told, requests=math.nan, busy_seconds=-1.0) if self.figures == "hostile" else told
