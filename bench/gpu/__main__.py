"""Runs `python -m bench.gpu`: about ten minutes on a machine with an NVIDIA GPU."""

import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bench.gpu import contenders, over_http, report
from bench.gpu.models import Subject, subjects
from bench.gpu.timing import difference, ratio, seconds_in_turn
from bench.shared.folders import BenchError
from bench.shared.machine import this_machine
from slipstream_runtime.errors import StartError
from slipstream_runtime.model.providers import CPU, CUDA, PROVIDERS, require
from slipstream_runtime.protocol.signature import Tensors

BATCHES = (1, 8, 32, 64)
CHECKED_ROWS = 32


def main() -> int:
    """Measure and write the tables; return 2, with one line, where there is no GPU to measure on."""
    try:
        require(CUDA)
    except StartError as error:
        sys.stderr.write(f"bench.gpu: not measured: {error}\n")
        return 2
    try:
        with tempfile.TemporaryDirectory() as work:
            tables = tuple(measured(subject, Path(work)) for subject in subjects())
        http = over_http.requests_per_second((CPU, CUDA))
    except (BenchError, StartError) as error:
        sys.stderr.write(f"bench.gpu: {error}\n")
        return 1
    day = datetime.now(UTC).date().isoformat()
    report.write(report.Results(day, _device(), this_machine().words(), tables, http))
    print("gpu: ok")
    return 0


def measured(subject: Subject, work: Path) -> report.Table:
    """Return the table of one model: every way against the plain run, and its answers against the CPU's."""
    runs = {contenders.PLAIN: contenders.plain(subject)}
    reasons = {}
    for way in contenders.WAYS:
        try:
            runs[way.name] = contenders.ours(subject, way, work)
        except StartError as error:
            reasons[way.name] = str(error)
    return compared(subject, runs, reasons)


def compared(subject: Subject, runs: dict[str, contenders.Run], reasons: dict[str, str]) -> report.Table:
    """Return the table of `runs`, the first of them the plain one; `reasons` are of the ways that do not work."""
    few = _rows(subject, CHECKED_ROWS)
    expected = contenders.plain(subject, PROVIDERS[CPU])(few)
    differences = {name: difference(run(few), expected) for name, run in runs.items()}
    seconds = {str(size): seconds_in_turn(runs, _rows(subject, size)) for size in BATCHES}
    rows = [report.Row(name, {}, reason=reason) for name, reason in reasons.items()]
    for name in runs:
        faster = {size: ratio(found, name, contenders.PLAIN) for size, found in seconds.items()}
        rows.append(report.Row(name, faster, differences[name]))
    order = [contenders.PLAIN, *(way.name for way in contenders.WAYS)]
    rows.sort(key=lambda row: order.index(row.way))
    plain = {size: statistics.median(found[contenders.PLAIN]) * 1e3 for size, found in seconds.items()}
    return report.Table(subject.name, plain, tuple(rows))


def _rows(subject: Subject, size: int) -> Tensors:
    return tuple(
        np.take(subject.rows[spec.name], np.arange(size), axis=0, mode="wrap") for spec in subject.signature.inputs
    )


def _device() -> str:
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown (nvidia-smi does not answer)"


if __name__ == "__main__":
    sys.exit(main())
