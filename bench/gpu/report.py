"""What was measured, as it is kept in results.json and shown in docs/benchmarks.md."""

from dataclasses import dataclass
from pathlib import Path

from bench.shared import page
from bench.shared.results import write as save

COMMAND = "python -m bench.gpu"
FILE = Path(__file__).with_name("results.json")


@dataclass(frozen=True)
class Row:
    """One way: how many times faster than the plain run by batch size, and its largest difference from the CPU.

    `reason` says why it does not work here; the other fields are then empty.
    """

    way: str
    faster: dict[str, float]
    difference: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Table:
    """One model; `plain_milliseconds` by batch size is the plain run's median."""

    model: str
    plain_milliseconds: dict[str, float]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Results:
    """All that one run of the benchmark measured; `http` is single-row requests a second by provider."""

    day: str
    device: str
    machine: str
    tables: tuple[Table, ...]
    http: dict[str, float]


def write(results: Results) -> None:
    """Write results.json, and the tables into docs/benchmarks.md."""
    save(results, FILE)
    page.rewrite(COMMAND, render(results))


def render(results: Results) -> str:
    """Return the results as Markdown."""
    parts = [_table(table) for table in results.tables]
    rates = ", ".join(f"{rate:,.0f} with `--provider {name}`" for name, rate in results.http.items())
    parts.append(f"Recommender over HTTP, single rows, requests a second: {rates or 'not measured'}.")
    parts.append(f"Device: {results.device}. Machine: {results.machine} Measured {results.day}.")
    return "\n\n".join(parts)


def _table(table: Table) -> str:
    times = ", ".join(f"{found:.3f} ms at batch {size}" for size, found in table.plain_milliseconds.items())
    head = ["", *(f"faster, batch {size}" for size in table.plain_milliseconds), "largest difference from the CPU"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(_row(table, row) for row in table.rows)]
    return f"### {table.model}\n\nPlain onnxruntime-gpu, float32: {times}.\n\n" + "\n".join(lines)


def _row(table: Table, row: Row) -> str:
    if row.reason:
        cells = [row.way, *("-" for _ in table.plain_milliseconds), row.reason.replace("|", "/")]
    else:
        cells = [row.way, *(f"{row.faster[size]:.2f}x" for size in table.plain_milliseconds), f"{row.difference:.1e}"]
    return f"| {' | '.join(cells)} |"
