"""Measures the builder against other tools on three real models.

    python -m bench.build [--only NAME] [--keep-builds] [--no-olive]

Makes the models, builds ours, runs the others, judges and times all of them in one run, merges the figures into
bench/build/results.json and the table in docs/benchmarks.md, and ends with `build: ok ...` or `build: failed ...`.
"""

import argparse
import sys
import time
from pathlib import Path

from bench.build import building, cases, judging, olive, peers, results, table, verdict
from bench.build.models.store import BenchError
from bench.shared import page
from bench.shared.results import write


def main() -> int:
    """Measure what the arguments ask for; return the exit code."""
    arguments = _arguments()
    names = tuple(arguments.only) if arguments.only else tuple(case.name for case in cases.CASES)
    found, broken = results.Results.read(results.FILE), []
    for case in cases.CASES:
        if case.name not in names:
            continue
        try:
            found = found.merged(_measure(case, arguments), tuple(case.name for case in cases.CASES))
        except BenchError as error:
            broken.append(str(error))
            continue
        write(found, results.FILE)
        page.rewrite("make bench-build", table.render(found))
    kept, line = verdict.line(found, names, broken)
    print(f"{table.render(found)}\n\n{line}")
    return 0 if kept else 1


def _measure(case: cases.Case, arguments: argparse.Namespace) -> results.CaseResult:
    _say(case, "making the model and its data")
    folder = case.folder()
    manifest = building.write_manifest(case, folder)
    _say(case, "slipstream build")
    built = building.build(case, manifest, arguments.keep_builds)
    _say(case, f"built in {built.cost.seconds:.0f} s: {built.manifest.chosen}; running the others")
    others = _peers(folder / "model.onnx", manifest, arguments.olive)
    _say(case, "judging and timing all in one run")
    return judging.judge_all(case, built, others, manifest)


def _peers(model: Path, manifest: Path, with_olive: bool) -> tuple[peers.Peer, ...]:
    _, given = judging.load(manifest)
    ran = (peers.dynamic(model), peers.static(model, given.unlabelled))
    return (*ran, olive.optimized(model)) if with_olive else ran


def _say(case: cases.Case, words: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {case.name}: {words}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.build", description="Measure the builder against others.")
    names = [case.name for case in cases.CASES]
    parser.add_argument("--only", choices=names, action="append", help="only this model; may be repeated")
    parser.add_argument("--keep-builds", action="store_true", help="judge the last run's artifacts; builds nothing")
    parser.add_argument("--no-olive", dest="olive", action="store_false", help="leave Olive out (6 GB to install)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
