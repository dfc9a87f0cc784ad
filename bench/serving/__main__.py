"""Measures the runtime against other servers.

    python -m bench.serving [--only CASE] [--rounds N] [--quick]

Makes the models, installs the others, starts every server on loopback, offers load, judges, merges the figures into
bench/serving/results.json and the tables in docs/benchmarks.md, and ends with `serving: ok ...` or
`serving: failed ...`.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from bench.serving import plan, promises, results, table, wrk
from bench.shared import page
from bench.shared.folders import BenchError
from bench.shared.results import write

ROUNDS, SECONDS, TRIAL_SECONDS, OVERLOAD_SECONDS = 3, 4, 2, 60
QUICK_SECONDS, QUICK_TRIAL_SECONDS, QUICK_OVERLOAD_SECONDS = 2, 1, 10


def main() -> int:
    """Measure what the arguments ask for; return the exit code."""
    arguments = _arguments()
    names = tuple(arguments.only or promises.CASES)
    found, broken = results.Results() if arguments.quick else results.Results.read(results.FILE), []
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        for name in names:  # short paths, for the sockets that some servers put there
            folder = Path(scratch) / name
            folder.mkdir()
            try:
                wrk.check_installed()
                result = plan.run(name, promises.CASES[name], _plan(arguments, folder))
            except BenchError as error:
                broken.append(f"{name}: {error}")
                continue
            found = found.merged(result, tuple(promises.CASES))
            if not arguments.quick:
                write(found, results.FILE)
                page.rewrite("make bench-serving", table.render(found))
    kept, line = promises.line(found, names, broken)
    print(f"{table.render(found)}\n\n{line}")
    return 0 if kept else 1


def _plan(arguments: argparse.Namespace, scratch: Path) -> plan.Plan:
    if arguments.quick:
        rounds = arguments.rounds or 1
        return plan.Plan(rounds, QUICK_SECONDS, QUICK_TRIAL_SECONDS, QUICK_OVERLOAD_SECONDS, scratch)
    return plan.Plan(arguments.rounds or ROUNDS, SECONDS, TRIAL_SECONDS, OVERLOAD_SECONDS, scratch)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.serving", description="Measure the runtime beside others.")
    parser.add_argument(
        "--only", choices=tuple(promises.CASES), action="append", help="only this case; may be repeated"
    )
    parser.add_argument("--rounds", type=int, help=f"rounds in turn (default: {ROUNDS}; with --quick 1)")
    parser.add_argument("--quick", action="store_true", help="short loads; changes no file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
