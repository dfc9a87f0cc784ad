"""Where a model's time goes, operator by operator, from ONNX Runtime's own profiler."""

import json
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipstream_builder import sessions
from slipstream_builder.arrays import Rows
from slipstream_contract.recipe import Accelerator

RUNS = 20
LISTED = 10
_SECONDS = 2.0


@dataclass(frozen=True)
class OperatorShare:
    """One type of operator: how many nodes of it ran, and its share (0 to 1) of the time in operators."""

    operator: str
    nodes: int
    share: float


def profile(
    model: bytes, rows: Rows, threads: int, accelerator: Accelerator, seconds_a_run: float
) -> tuple[OperatorShare, ...]:
    """Return the operator types of `model` that took the most time over `rows`, the greediest first.

    The operators are those that ONNX Runtime really runs, after its own fusions. Where the profile cannot be written,
    as on a full disk, which ONNX Runtime does not tell, there is none to return.
    """
    with tempfile.TemporaryDirectory(prefix="slipstream-") as folder:
        session = sessions.open_session(model, threads, accelerator, profile=Path(folder) / "profile")
        for _ in range(max(2, min(RUNS, int(_SECONDS / max(seconds_a_run, 1e-6))))):
            sessions.run(session, rows)
        try:
            events = json.loads(Path(session.end_profiling()).read_text())
        except (OSError, ValueError):
            return ()
    return shares(events)


def shares(events: Iterable[dict[str, Any]]) -> tuple[OperatorShare, ...]:
    """Add the profiler's events up by operator type; every node's first run, which warms up, does not count."""
    spent: dict[str, float] = defaultdict(float)
    nodes: dict[str, set[str]] = defaultdict(set)
    met: set[str] = set()
    for event in events:
        name, kind = event.get("name", ""), event.get("args", {}).get("op_name")
        if event.get("cat") != "Node" or not kind or not name.endswith("_kernel_time"):
            continue
        nodes[kind].add(name)
        if name in met:
            spent[kind] += event["dur"]
        met.add(name)
    whole = sum(spent.values())
    if whole <= 0:
        return ()
    ranked = sorted(spent, key=lambda kind: (-spent[kind], kind))[:LISTED]
    return tuple(OperatorShare(kind, len(nodes[kind]), spent[kind] / whole) for kind in ranked)
