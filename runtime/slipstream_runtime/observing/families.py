"""Metrics as plain data that can be sent between processes, added up and written out. Pure, standard library only."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

Labels = tuple[tuple[str, str], ...]

Merge = Literal["sum", "share", "mean", "max"]
"""Over the processes of a replica: the sum; the sum divided by how many there are, also of those that ended; the
mean, or the largest, of those that answer."""


class Sample(NamedTuple):
    """One value; `suffix` is appended to the family's name (`_bucket`, `_sum`, `_count`, or nothing)."""

    suffix: str
    labels: Labels
    value: float


class Family(NamedTuple):
    """One metric."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    text: str
    merge: Merge
    samples: list[Sample]


def counter(name: str, text: str, values: Iterable[tuple[Labels, float]], merge: Merge = "sum") -> Family:
    """Return a counter with one sample for each set of labels."""
    return Family(name, "counter", text, merge, [Sample("", labels, value) for labels, value in values])


def gauge(name: str, text: str, values: Iterable[tuple[Labels, float]], merge: Merge = "sum") -> Family:
    """Return a gauge with one sample for each set of labels."""
    return Family(name, "gauge", text, merge, [Sample("", labels, value) for labels, value in values])


def histogram(
    name: str, text: str, edges: Sequence[float], members: Iterable[tuple[Labels, Sequence[int], float]]
) -> Family:
    """Return a histogram; each member is its labels, the count between each two edges, and the sum of its values."""
    samples = []
    bounds = (*map(repr, edges), "+Inf")
    for labels, counts, total in members:
        running = 0
        for edge, count in zip(bounds, counts, strict=True):
            running += count
            samples.append(Sample("_bucket", (*labels, ("le", edge)), running))
        samples += [Sample("_count", labels, running), Sample("_sum", labels, total)]
    return Family(name, "histogram", text, "sum", samples)


def merge(living: Sequence[Sequence[Family]], ended: Sequence[Family], processes: int) -> list[Family]:
    """Return one set of metrics for a replica of so many processes.

    `ended` is what processes that are gone had counted, so that no counter ever falls.
    """
    members: dict[str, list[Family]] = {}
    for family in (family for families in (ended, *living) for family in families):
        members.setdefault(family.name, []).append(family)
    return [_merged(group, len(living), processes) for group in members.values()]


def counted(families: Iterable[Family]) -> list[Family]:
    """Return what only ever grows: all but the gauges."""
    return [family for family in families if family.kind != "gauge"]


def _merged(group: list[Family], living: int, processes: int) -> Family:
    first = group[0]
    values: dict[tuple[str, Labels], float] = {}
    for family in group:
        for suffix, labels, value in family.samples:
            known = values.get((suffix, labels))
            if known is None:
                values[suffix, labels] = value
            else:
                values[suffix, labels] = max(known, value) if first.merge == "max" else known + value
    divisor = {"share": processes, "mean": max(1, living)}.get(first.merge)
    samples = [Sample(*key, value if divisor is None else value / divisor) for key, value in values.items()]
    return first._replace(samples=samples)


def text(families: Iterable[Family]) -> bytes:
    """Return the metrics in the Prometheus text format 0.0.4."""
    lines = []
    for family in families:
        lines.append(f"# HELP {family.name} {family.text}\n# TYPE {family.name} {family.kind}\n")
        for suffix, labels, value in family.samples:
            inside = ",".join([f'{key}="{_escaped(content)}"' for key, content in labels])
            lines.append(f"{family.name}{suffix}{f'{{{inside}}}' if inside else ''} {value!r}\n")
    return "".join(lines).encode()


def _escaped(content: str) -> str:
    return content.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
