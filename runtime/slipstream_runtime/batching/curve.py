"""The batch latency T(b) = alpha + beta * b, refitted while serving. Pure.

All fits weigh relative errors: T is never quite straight, and where squared seconds counted alone, the largest batch
would decide the line, and a model whose single row takes three times its share of a batch would seem to gain nothing
from batches.
"""

import math
from dataclasses import dataclass

Shape = tuple[tuple[int, ...], ...]
"""The free axes of every input, which requests must share to run together; empty where there are none."""

FORGETTING = 0.98
"""Each batch weighs this much less than the one after it: about the last 50 batches count."""

ANCHOR_WEIGHT = 0.05
"""Weight of the two points taken from the start; they keep the slope known when all batches are of one size. Their
seconds are scaled by how much slower or faster the observed batches are than the start said, so that a start measured
on a busy machine bends nothing."""

OUTLIER = 2.0
"""A batch slower than this many times its prediction counts as only this slow: one that was descheduled moves the line
by 2 %, and a machine that really slowed down is followed all the same, twofold in about 35 batches."""

REFIT_EVERY = 8
"""The line is solved for again after so many batches, and after each of the first: it costs several microseconds."""

MAX_SHAPES = 256
"""Shapes that have a line of their own; the one seen longest ago makes room."""


@dataclass(frozen=True)
class Line:
    """A latency line in seconds."""

    alpha: float
    beta: float

    def seconds(self, rows: float) -> float:
        """Return the predicted seconds of a batch of `rows`."""
        return self.alpha + self.beta * rows


@dataclass(slots=True)
class _Sums:
    weight: float = 0.0
    rows: float = 0.0
    squares: float = 0.0
    seconds: float = 0.0
    products: float = 0.0

    def add(self, rows: float, seconds: float, weight: float = 1.0) -> None:
        self.weight += weight
        self.rows += weight * rows
        self.squares += weight * rows * rows
        self.seconds += weight * seconds
        self.products += weight * rows * seconds

    def fade(self, factor: float) -> None:
        self.weight *= factor
        self.rows *= factor
        self.squares *= factor
        self.seconds *= factor
        self.products *= factor


class RefittedCurve:
    """An exponentially forgetting least-squares line through the observed batches."""

    def __init__(self, start: Line, largest: int) -> None:
        self.line = start
        self._start = start
        self._anchors = (1, max(2, largest))
        self._sums = _Sums()
        self.observed = 0

    def observe(self, rows: int, seconds: float) -> None:
        """Take one batch into account."""
        self.observed += 1
        predicted = max(self.line.seconds(rows), 1e-6)
        self._sums.fade(FORGETTING)
        self._sums.add(rows, min(seconds, OUTLIER * predicted), 1 / predicted**2)
        if self.observed <= REFIT_EVERY or self.observed % REFIT_EVERY == 0:
            self.line = self._fit()

    def _fit(self) -> Line:
        sums = self._sums
        total = _Sums(sums.weight, sums.rows, sums.squares, sums.seconds, sums.products)
        start = self._start
        expected = start.alpha * sums.weight + start.beta * sums.rows
        scale = sums.seconds / expected if expected > 0 else 1.0
        for rows in self._anchors:
            seconds = max(scale * start.seconds(rows), 1e-6)
            total.add(rows, seconds, ANCHOR_WEIGHT / seconds**2)
        spread = total.weight * total.squares - total.rows * total.rows
        beta = (total.weight * total.products - total.rows * total.seconds) / spread
        return _clamped(beta, total.rows / total.weight, total.seconds / total.weight)


class ShapedCurves:
    """A line for each input shape, because a longer sequence takes longer; one for all where shapes do not differ.

    A shape seen for the first time borrows the line of the shape nearest in elements, with the slope scaled by them.
    """

    def __init__(self, start: Line, largest: int) -> None:
        self._largest = largest
        self._curves: dict[Shape, RefittedCurve] = {}
        self.overall = RefittedCurve(start, largest)

    def __len__(self) -> int:
        return len(self._curves)

    def line(self, shape: Shape) -> Line:
        """Return the line of `shape`; the empty shape stands for all."""
        if not shape:
            return self.overall.line
        curve = self._curves.get(shape)
        return curve.line if curve is not None else self._borrowed(shape)

    def observe(self, shape: Shape, rows: int, seconds: float) -> None:
        """Take one batch into account."""
        if shape:
            curve = self._curves.pop(shape, None) or RefittedCurve(self._borrowed(shape), self._largest)
            while len(self._curves) >= MAX_SHAPES:
                del self._curves[next(iter(self._curves))]
            self._curves[shape] = curve
            curve.observe(rows, seconds)
        self.overall.observe(rows, seconds)

    def _borrowed(self, shape: Shape) -> Line:
        if not self._curves:
            return self.overall.line
        wanted = _elements(shape)
        nearest = min(self._curves, key=lambda known: abs(math.log(_elements(known) / wanted)))
        line = self._curves[nearest].line
        return Line(line.alpha, line.beta * wanted / _elements(nearest))


def _elements(shape: Shape) -> int:
    """Return the numbers one row of `shape` holds, at least one."""
    return max(1, sum(math.prod(axes) for axes in shape))


def fit_line(points: tuple[tuple[int, float], ...]) -> Line:
    """Return the line through `points` of the least squared relative errors, both coefficients non-negative."""
    sums = _Sums()
    for rows, seconds in points:
        sums.add(rows, seconds, 1 / max(seconds, 1e-6) ** 2)
    spread = sums.weight * sums.squares - sums.rows * sums.rows
    beta = (sums.weight * sums.products - sums.rows * sums.seconds) / spread if spread else 0.0
    return _clamped(beta, sums.rows / sums.weight, sums.seconds / sums.weight)


def _clamped(beta: float, mean_rows: float, mean_seconds: float) -> Line:
    """Keep the line through the means, with a slope that leaves neither coefficient negative."""
    beta = min(max(beta, 0.0), mean_seconds / mean_rows)
    return Line(max(0.0, mean_seconds - beta * mean_rows), beta)
