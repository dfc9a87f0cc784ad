"""Holds the measured figures against the promised ones; pure."""

from collections.abc import Sequence

from bench.build import cases
from bench.build.results import CaseResult, Entry, Results
from slipstream_builder.measuring.latency import Timing


def line(results: Results, names: Sequence[str], broken: Sequence[str] = ()) -> tuple[bool, str]:
    """Return whether the models `names` keep all promises, and the one line that says so.

    `broken` says what could not be measured at all this time, whatever an earlier run found.
    """
    missed, kept = list(broken), []
    for case in cases.CASES:
        if case.name not in names:
            continue
        result = results.case(case.name)
        broken = misses(case, result) if result is not None else ["was not measured"]
        missed += [f"{case.name}: {words}" for words in broken]
        if result is not None and not broken:
            kept.append(f"{case.name} {speed(result.ours):.1f}x faster {shrink(result, result.ours):.1f}x smaller")
    if missed:
        return False, f"build: failed {'; '.join(missed)}"
    return True, f"build: ok {', '.join(kept)}"


def misses(case: cases.Case, result: CaseResult) -> list[str]:
    """Return in words what `result` misses of what `case` promises; empty when nothing."""
    ours = result.ours
    checks = (
        (ours.passed, f"a gate failed ({ours.reason})"),
        (ours.bound is not None and ours.bound <= cases.MAX_DROP, f"loss is not bounded by {cases.MAX_DROP:.0%}"),
        (speed(ours) >= case.speed, f"{speed(ours):.2f}x faster, not {case.speed:g}x"),
        (shrink(result, ours) >= case.size, f"{shrink(result, ours):.2f}x smaller, not {case.size:g}x"),
        (
            case.build_seconds is None or result.build_seconds <= case.build_seconds,
            f"the build took {result.build_seconds:.0f} s, more than {case.build_seconds} s",
        ),
        (
            result.build_peak_bytes <= memory_limit(result),
            f"the build held {result.build_peak_bytes / 2**30:.2f} GiB, more than {memory_limit(result) / 2**30:.2f}",
        ),
    )
    slower = [
        f"slower than {peer.name} ({1 / peer.ours_over_it.ratio:.2f}x its speed)"
        for peer in result.peers
        if peer.passed and peer.ours_over_it is not None and peer.ours_over_it.low > 1.0
    ]
    return [words for kept, words in checks if not kept] + slower


def timing(entry: Entry, batch: int = cases.BATCH) -> Timing | None:
    """Return the entry's latency over the original's at `batch`, or None where it has no model."""
    return next((timing for timing in entry.timings if timing.batch == batch), None)


def speed(entry: Entry, batch: int = cases.BATCH) -> float:
    """Return how many times faster than the original the entry is; 0 where it has no model."""
    found = timing(entry, batch)
    return 1 / found.ratio if found else 0.0


def shrink(result: CaseResult, entry: Entry) -> float:
    """Return how many times smaller than the original the entry's file is; 0 where it has none."""
    return result.original_bytes / entry.bytes if entry.bytes else 0.0


def memory_limit(result: CaseResult) -> int:
    """Return the bytes that the build may hold."""
    return cases.MEMORY_FLOOR + cases.MEMORY_FACTOR * result.source_bytes
