"""What the operator and the API server's audit log say of a run: pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from slipstream_operator.cluster.figures import PREFIX
from slipstream_testing.api import Json

_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True)
class Page:
    """The operator's own metrics: how many AgentDeployments are Ready, its turns, and how long they took.

    `buckets` are the upper bounds in seconds with the turns that took at most so long.
    """

    agents_ready: int
    turns: int
    failed: int
    buckets: tuple[tuple[float, int], ...]

    def quantile(self, share: float) -> float:
        """Return the seconds within which this share of the turns ended, by a straight line within a bucket."""
        wanted = share * self.turns
        before = (0.0, 0)
        for edge, count in self.buckets:
            if count >= wanted:
                part = (wanted - before[1]) / (count - before[1]) if count > before[1] else 1.0
                return before[0] + part * (edge - before[0])
            before = (edge, count)
        return before[0]


def read(page: str) -> Page:
    """Read the operator's metrics from Prometheus' text format."""
    values = {}
    for line in page.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            values[name.removeprefix(PREFIX)] = float(value)
    bucket = 'turn_seconds_bucket{le="'
    edges = [(name.removeprefix(bucket).removesuffix('"}'), int(n)) for name, n in values.items() if bucket in name]
    return Page(
        agents_ready=int(values['agent_deployments{ready="True"}']),
        turns=int(values["turn_seconds_count"]),
        failed=int(values['turns_total{result="failed"}']),
        buckets=tuple((float(edge), count) for edge, count in edges),
    )


def writes(asked: Iterable[Json]) -> dict[str, int]:
    """Count what the operator wrote by verb and resource, but for its Lease, which it must renew."""
    requests = ((entry["verb"], entry.get("objectRef", {}).get("resource")) for entry in asked)
    return dict(Counter(f"{verb} {kind}" for verb, kind in requests if verb in _WRITES and kind != "leases"))
