"""Reads a replica's Prometheus text. Replicas run users' models, so what they answer is treated as hostile.

Only the text format 0.0.4 is read, by a grammar without backtracking; the first fault refuses the whole answer.
"""

import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from slipstream_contract import metrics
from slipstream_operator.scaling.samples import ReplicaSample

MAX_BYTES = 256 * 1024
"""The longest answer read; a replica's own is about 10 KiB."""

MAX_SAMPLES = 2000
"""The most sample lines read."""

SHORT_LABELS = 200
"""Characters of a line's labels; a replica's own have at most half as many."""

REFUSED_CODES = frozenset({"429", "503", "504"})
"""Codes of refused requests, which the counter of rejected ones holds already, whether or not they are timed too."""

_LABELS = r'[a-zA-Z_][a-zA-Z0-9_]{0,99}="(?:[^"\\\n]|\\.){0,1000}"'
_LINE = re.compile(
    r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]{0,199})"
    rf"(?:\{{(?P<labels>{_LABELS}(?:,{_LABELS}){{0,30}})?,?\}})?"
    r"[ \t]+(?P<value>[+-]?(?:[0-9.]+(?:[eE][+-]?[0-9]+)?|Inf|NaN))(?:[ \t]+-?[0-9]{1,20})?[ \t]*"
)
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\.)*)"')

Labels = tuple[tuple[str, str], ...]
Series = Mapping[str, Mapping[Labels, float]]


class ExpositionError(ValueError):
    """The text is not what a Slipstream replica answers; the message names the line and what is wrong with it."""


def parse(text: str, replica: str, at: float) -> ReplicaSample:
    """Return the sample in `text` that `replica` (pod UID) answered at the time `at` (seconds).

    Raises:
        ExpositionError: the text is too long, malformed, or not a replica's.
    """
    series = _series(text)
    if metrics.BUSY_SECONDS_TOTAL not in series:
        raise ExpositionError(f"no {metrics.BUSY_SECONDS_TOTAL}: this is not a Slipstream replica")
    edges, counts = _histogram(series)
    rejected = _shed(series)
    return ReplicaSample(
        replica=replica,
        at=at,
        requests=_served(series) + rejected,
        rejected=rejected,
        rows=_total(series, metrics.ROWS_TOTAL),
        computed_rows=_total(series, f"{metrics.BATCH_ROWS}_sum"),
        batches=_total(series, f"{metrics.BATCH_ROWS}_count"),
        busy_seconds=_total(series, metrics.BUSY_SECONDS_TOTAL),
        cpu_seconds=_total(series, metrics.CPU_SECONDS_TOTAL),
        queued_rows=_total(series, metrics.QUEUED_ROWS),
        cache_hits=_total(series, metrics.CACHE_HITS_TOTAL),
        cache_misses=_total(series, metrics.CACHE_MISSES_TOTAL),
        latency_edges=edges,
        latency_counts=counts,
        variant=_variant(series),
    )


def _series(text: str) -> Series:
    """Return every sample of the text by name and labels."""
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise ExpositionError(f"more than {MAX_BYTES} bytes")
    found: dict[str, dict[Labels, float]] = {}
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip() and line[0] != "#"]
    if len(lines) > MAX_SAMPLES:
        raise ExpositionError(f"more than {MAX_SAMPLES} samples")
    for number, line in lines:
        name, labels, value = _sample(number, line.rstrip("\r"))
        values = found.setdefault(name, {})
        if labels in values:
            raise ExpositionError(f"line {number}: {name} is given twice")
        values[labels] = value
    return found


def _sample(number: int, line: str) -> tuple[str, Labels, float]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ExpositionError(f"line {number}: not a sample: {line!r:.80}")
    name, text = match["name"], match["labels"] or ""
    labels = _known_labels(text) if len(text) <= SHORT_LABELS else _labels(text)
    if labels is None:
        raise ExpositionError(f"line {number}: {name} has a label twice")
    try:
        value = float(match["value"]) or 0.0  # all zeros are one object, as in the window
    except ValueError as error:
        raise ExpositionError(f"line {number}: {name} is not a number") from error
    if name.startswith("slipstream_") and not (math.isfinite(value) and value >= 0):
        raise ExpositionError(f"line {number}: {name} is {match['value']:.40}; finite and not negative was expected")
    return name, labels, value


def _labels(text: str) -> Labels | None:
    """Return the labels of a line in order of their names, or None where one is given twice."""
    labels = tuple(sorted(_LABEL.findall(text)))
    return labels if len({key for key, _ in labels}) == len(labels) else None


_known_labels = lru_cache(1024)(_labels)
"""The same labels come with every scrape; only short ones are remembered, as replicas may send what they like."""


def _total(series: Series, name: str) -> float:
    """Return the sum over a metric's labels; one whose labels were never used has no samples, which is 0."""
    return sum(series.get(name, {}).values())


def _shed(series: Series) -> float:
    """Return the requests that more replicas would have answered; a caller without a key is no reason to grow."""
    reasons = series.get(metrics.REJECTED_TOTAL, {})
    return sum(value for labels, value in reasons.items() if dict(labels).get("reason") in metrics.SHED_REASONS)


def _served(series: Series) -> float:
    counts = series.get(f"{metrics.REQUEST_SECONDS}_count", {})
    return sum(value for labels, value in counts.items() if dict(labels).get("code") not in REFUSED_CODES)


def _variant(series: Series) -> str:
    names = {dict(labels).get("variant", "") for labels in series.get(metrics.INFO, {})}
    return names.pop() if len(names) == 1 else ""


def _histogram(series: Series) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the edges (seconds) and cumulative counts of the successful answers, summed over their codes."""
    sums: dict[float, float] = {}
    members: dict[Labels, dict[float, float]] = {}
    for labels, value in series.get(f"{metrics.REQUEST_SECONDS}_bucket", {}).items():
        rest = tuple(label for label in labels if label[0] != "le")
        if dict(rest).get("code", "200").startswith("2"):
            members.setdefault(rest, {})[_edge(dict(labels).get("le", ""))] = value
    for buckets in members.values():
        _check(buckets)
        if sums and sums.keys() != buckets.keys():
            raise ExpositionError(f"{metrics.REQUEST_SECONDS}: buckets differ between codes")
        for edge, value in buckets.items():
            sums[edge] = sums.get(edge, 0.0) + value
    edges = tuple(sorted(sums))
    return edges, tuple(sums[edge] for edge in edges)


def _check(buckets: Mapping[float, float]) -> None:
    counts = [buckets[edge] for edge in sorted(buckets)]
    if math.inf not in buckets or _falls(counts):
        raise ExpositionError(f"{metrics.REQUEST_SECONDS}: buckets are not cumulative up to +Inf")


def _falls(counts: Iterable[float]) -> bool:
    numbers = list(counts)
    return numbers != sorted(numbers)


def _edge(text: str) -> float:
    try:
        edge = float(text)
    except ValueError as error:
        raise ExpositionError(f"{metrics.REQUEST_SECONDS}: {text!r:.40} is not a bucket's edge") from error
    if not edge > 0:
        raise ExpositionError(f"{metrics.REQUEST_SECONDS}: {text!r:.40} is not a bucket's edge")
    return edge
