"""Runs `python -m bench.faults`."""

import argparse
import asyncio
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.faults.plan import FAULTS, KINDS, Strikes, lives
from bench.faults.results import MOST_SECONDS, RESULTS, Results, case_of, loops, write_table
from bench.shared.results import write
from slipstream_testing.control_plane import ControlPlane, provide_binaries
from slipstream_testing.faults.life import Life, Place, Reference, Trial
from slipstream_testing.faults.places import places
from slipstream_testing.faults.strikes import KILLS

CRDS = sorted((Path(__file__).parents[2] / "crds").glob("*.yaml"))
PROGRESS_SECONDS = 10.0


class Run:
    """Lives the planned lives, many at once, and keeps their trials by fault."""

    def __init__(self, planned: Sequence[Strikes], reference: Reference) -> None:
        """Nothing is lived yet."""
        self._planned = len(planned)
        self._next: Iterator[Strikes] = iter(planned)
        self._reference = reference
        self._lived = 0
        self._printed = time.monotonic()
        self.trials: dict[str, list[Trial]] = defaultdict(list)

    async def at(self, place: Place) -> None:
        """Live one life after the other at a place until none is left."""
        for strikes in self._next:
            fault = next(iter(strikes.values())).fault
            for trial in await Life(place).live(strikes, self._reference):
                if trial.struck or trial.differences:
                    self.trials[fault].append(trial)
                    _report(fault, trial)
            self._lived += 1
            self._progress()

    def _progress(self) -> None:
        if time.monotonic() - self._printed >= PROGRESS_SECONDS or self._lived == self._planned:
            self._printed = time.monotonic()
            trials = [trial for found in self.trials.values() for trial in found]
            failed = sum(_failed(trial) for trial in trials)
            print(
                f"faults: {self._lived} of {self._planned} lives, {len(trials)} trials, {failed} failed",
                flush=True,
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """Live all lives, write what came of them, and return 0 when every one ended as the undisturbed did."""
    options = _parser().parse_args(arguments)
    faults = options.faults or [fault for kind in options.kinds for fault in KINDS[kind]]
    with ControlPlane(provide_binaries(), manifests=CRDS) as control_plane:
        run = asyncio.run(_run(control_plane, faults, options.lives))
    results = Results.read(RESULTS)
    for fault in faults:
        results = results.merged(case_of(fault, run.trials[fault]), FAULTS)
    write(results, RESULTS)
    write_table(results)
    return _verdict(faults, results)


async def _run(control_plane: ControlPlane, faults: Sequence[str], count: int) -> Run:
    async with places(control_plane, count) as found:
        reference = await Life(found[0]).reference()
        print(f"faults: undisturbed, a life has calls={sum(reference.calls.values())} in {dict(reference.calls)}")
        run = Run(list(lives(faults, reference)), reference)
        await asyncio.gather(*(run.at(place) for place in found))
    return run


def _verdict(faults: Sequence[str], results: Results) -> int:
    cases = [case for case in results.cases if case.name in faults]
    held = all(case.held and case.trials for case in cases)
    kills = sum(case.trials for case in cases if case.name in KILLS)
    trials = sum(case.trials for case in cases) - kills
    print(
        f"faults: {'ok' if held else 'failed'} kills={kills} api_faults={trials} "
        f"diverged={sum(case.diverged for case in cases)} loops={sum(case.looped for case in cases)} "
        f"late={sum(case.late for case in cases)} slowest={max(case.slowest_seconds for case in cases):.1f}s"
    )
    return 0 if held else 1


def _failed(trial: Trial) -> bool:
    return bool(trial.differences) or trial.seconds > MOST_SECONDS or loops(trial)


def _report(fault: str, trial: Trial) -> None:
    """Print a trial that failed, with what it takes to find out why."""
    if _failed(trial):
        print(f"faults: FAILED {trial.stage}: {trial.strike or fault} hit {trial.hit or '(nothing)'}")
        print(f"  {trial.seconds:.1f} s, {trial.after} calls after the fault")
        print("".join(f"  {words}\n" for words in trial.differences), end="", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.faults", description="Strike at every call of an operator's life.")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="which kinds of faults")
    parser.add_argument("--faults", nargs="+", choices=FAULTS, help="only these faults, in place of kinds")
    parser.add_argument("--lives", type=int, default=10, help="how many lives at once")
    return parser


if __name__ == "__main__":
    sys.exit(main())
