"""Reads a load run's result, holds it against what the demonstration promises, and prints one line."""

import json
import sys
from pathlib import Path

PROMISED_SPEEDUP = 3.0
PROMISED_SIZE = 4.0
ALLOWED_DROP = 0.01


def verdict(result: dict[str, float]) -> tuple[bool, str]:
    """Return whether the promises were kept, and the line that says so."""
    broken = [
        f"{name} {result[name]:g} is not {words}"
        for name, kept, words in (
            ("speedup", result["speedup"] >= PROMISED_SPEEDUP, f"at least {PROMISED_SPEEDUP:g}"),
            ("size", result["size"] >= PROMISED_SIZE, f"at least {PROMISED_SIZE:g}"),
            ("drop_bound", result["drop_bound"] <= ALLOWED_DROP, f"at most {ALLOWED_DROP:.0%}"),
            ("replicas_max", result["replicas_max"] > 1, "more than 1: the load did not scale out"),
            ("failed", result["failed"] * 100 <= result["answered"], "at most 1 % of the requests"),
        )
        if not kept
    ]
    if broken:
        return False, f"demo: failed: {'; '.join(broken)}"
    figures = f"speedup={result['speedup']:g} size={result['size']:g} drop={result['drop']:.2%}"
    return True, f"demo: ok {figures} replicas_max={result['replicas_max']:g}"


if __name__ == "__main__":
    kept, line = verdict(json.loads(Path(sys.argv[1]).read_text()))
    print(line)
    sys.exit(0 if kept else 1)
