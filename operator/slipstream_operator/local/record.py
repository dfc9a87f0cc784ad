"""Keeps what a load run showed, and tells it at the end: the before/after table, the report's data, one result line."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table

from slipstream_contract import codec
from slipstream_contract.load import LoadReport, LoadSecond, ReplicasAt, ScalingEvent, ServingMeasurement
from slipstream_contract.manifest import MANIFEST_FILE, Manifest, MetricEstimate, Variant
from slipstream_operator.local.frame import Frame

COMPARED_BATCH = 32


@dataclass
class LoadRecord:
    """The replicas and decisions seen since the load began at `began` seconds of the run."""

    began: float
    replicas: list[ReplicasAt] = field(default_factory=list)
    events: list[ScalingEvent] = field(default_factory=list)

    def add(self, frame: Frame) -> None:
        """Take in one moment."""
        second, decision = frame.elapsed - self.began, frame.plan.decision
        if decision is None:
            return
        status = frame.plan.desired.status
        point = ReplicasAt(second, status["readyReplicas"], decision.replicas, frame.plan.traffic.utilization)
        before = self.replicas[-1].desired if self.replicas else decision.replicas
        if decision.replicas != before:
            self.events.append(ScalingEvent(second, before, decision.replicas, decision.reason))
        self.replicas.append(point)

    @property
    def replicas_max(self) -> int:
        """The most replicas that were ready at once."""
        return max((point.ready for point in self.replicas), default=0)


@dataclass(frozen=True)
class Result:
    """A finished load run, with the artifact it ran on."""

    manifest: Manifest
    before: ServingMeasurement
    after: ServingMeasurement
    record: LoadRecord
    seconds: tuple[LoadSecond, ...]

    @property
    def baseline(self) -> Variant:
        """The optimised original."""
        return self.manifest.variant(self.manifest.baseline)

    @property
    def chosen(self) -> Variant:
        """The variant that serves."""
        return self.manifest.variant(self.manifest.chosen)

    @property
    def speedup(self) -> float:
        """The original's latency at batch 32 over the chosen variant's, as measured by the builder in one run."""
        before, after = (v.latency.measured_seconds(COMPARED_BATCH) for v in (self.baseline, self.chosen))
        return before / after

    def write(self, folder: Path, percentile: float, objective_milliseconds: int) -> Path:
        """Write `load.json` for the report and `result.json` for programs; return the former's path."""
        report = LoadReport(
            percentile=percentile,
            objective_milliseconds=objective_milliseconds,
            before=self.before,
            after=self.after,
            seconds=self.seconds,
            replicas=tuple(self.record.replicas),
            events=tuple(self.record.events),
        )
        load_file = folder / "load.json"
        load_file.write_bytes(codec.canonical_json(report))
        result = {
            "speedup": round(self.speedup, 2),
            "size": round(self.baseline.file.bytes / self.chosen.file.bytes, 2),
            "drop": self.chosen.drop,
            "drop_bound": self.chosen.drop_bound,
            "replicas_max": self.record.replicas_max,
            "failed": sum(second.failed for second in self.seconds),
            "answered": sum(second.answered for second in self.seconds),
        }
        (folder / "result.json").write_text(json.dumps(result, indent=2) + "\n")
        return load_file

    def table(self) -> Table:
        """Return the before/after table."""
        table = Table(title="before and after", title_justify="left", box=None, padding=(0, 2))
        table.add_column("")
        for header in (f"before: {self.baseline.name}", f"after: {self.chosen.name}", "gain"):
            table.add_column(header, justify="right")
        for row in self._rows():
            table.add_row(*row)
        return table

    def _rows(self) -> list[tuple[str, str, str, str]]:
        a, b = self.baseline, self.chosen
        rows = [
            ("size", f"{a.file.bytes:,} B", f"{b.file.bytes:,} B", f"{a.file.bytes / b.file.bytes:.1f}x smaller"),
            ("C = P'/P", f"{a.compression_ratio:.3f}", f"{b.compression_ratio:.3f}", ""),
            (
                "parameters",
                f"{a.parameters:,}",
                f"{b.parameters:,}",
                f"{a.parameters / max(1, b.parameters):.1f}x fewer",
            ),
        ]
        if a.metric and b.metric:
            loss = f"loss {b.drop:.2%} (bound {b.drop_bound:.2%})"
            rows.append((f"{self.manifest.metric} [95 %]", _interval(a.metric), _interval(b.metric), loss))
        for batch in (1, COMPARED_BATCH):
            before, after = a.latency.measured_seconds(batch), b.latency.measured_seconds(batch)
            gain = f"{before / after:.1f}x faster"
            rows.append((f"session T({batch})", f"{before * 1e3:.3f} ms", f"{after * 1e3:.3f} ms", gain))
        return rows + self._served_rows()

    def _served_rows(self) -> list[tuple[str, str, str, str]]:
        a, b = self.before, self.after
        rate_gain = f"{b.requests_per_second / a.requests_per_second:.1f}x more"
        return [
            ("served p50", f"{a.p50_milliseconds:.2f} ms", f"{b.p50_milliseconds:.2f} ms", ""),
            ("served p99", f"{a.p99_milliseconds:.2f} ms", f"{b.p99_milliseconds:.2f} ms", ""),
            ("T = N/t", f"{a.requests_per_second:,.0f} /s", f"{b.requests_per_second:,.0f} /s", rate_gain),
            ("utilisation", f"{a.utilization:.0%}", f"{b.utilization:.0%}", ""),
        ]


def read_manifest(artifact: Path) -> Manifest:
    """Return the manifest of the artifact in the folder `artifact`.

    Raises:
        ContractError: it is not a manifest.
    """
    file = artifact / MANIFEST_FILE
    return codec.decode_json(Manifest, file.read_bytes(), str(file))


def _interval(metric: MetricEstimate) -> str:
    return f"{metric.value:.4f} [{metric.low:.4f}, {metric.high:.4f}]"
