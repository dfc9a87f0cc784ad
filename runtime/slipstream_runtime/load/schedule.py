"""The offered rate over time, and Poisson arrivals drawn from it. Pure."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Schedule:
    """A piecewise-linear rate: points of (second, requests a second), in order of time."""

    points: tuple[tuple[float, float], ...]

    @property
    def seconds(self) -> float:
        """When the schedule ends."""
        return self.points[-1][0]

    def rate(self, second: float) -> float:
        """Return the offered rate at `second`."""
        for (left, low), (right, high) in pairwise(self.points):
            if left <= second <= right:
                return low + (high - low) * (second - left) / (right - left)
        return 0.0

    def arrivals(self, seed: int) -> Iterator[float]:
        """Yield the seconds at which requests arrive, a Poisson process of this rate."""
        source = random.Random(seed)  # noqa: S311  # a load pattern, not a secret
        target = 0.0
        done = 0.0
        for (left, low), (right, high) in pairwise(self.points):
            area = (low + high) / 2 * (right - left)
            while True:
                if target == 0.0:
                    target = done + source.expovariate(1.0)
                if target > done + area:
                    break
                yield left + _time_of(target - done, low, (high - low) / (right - left))
                target += source.expovariate(1.0)
            done += area


def parse_schedule(text: str) -> Schedule:
    """Return the schedule in `text`, such as `0:200,30:2000,60:200`.

    Raises:
        ValueError: the text has another form, fewer than two points, or times that do not rise.
    """
    try:
        points = tuple((float(second), float(rate)) for second, rate in (part.split(":") for part in text.split(",")))
    except ValueError:
        raise ValueError(f"{text!r} is not SECOND:RATE,SECOND:RATE and so on") from None
    numbers = [number for point in points for number in point]
    if len(points) < 2 or not all(math.isfinite(number) and number >= 0 for number in numbers):
        raise ValueError(f"{text!r} needs at least two points of numbers from zero up")
    if points[0][0] != 0 or any(right[0] <= left[0] for left, right in pairwise(points)):
        raise ValueError(f"{text!r} must start at second 0 and its seconds must rise")
    return Schedule(points)


def _time_of(area: float, rate: float, slope: float) -> float:
    """Return the time after which a rate that starts at `rate` and rises by `slope` has offered `area` requests."""
    root = math.sqrt(max(0.0, rate * rate + 2 * slope * area))
    return 2 * area / (rate + root) if rate + root > 0 else 0.0
