"""The command line: `python -m slipstream_builder build ...` and `... report ...`."""

import argparse
import logging
import sys
from pathlib import Path

from slipstream_builder.commands import build_command, report_command


def main(arguments: list[str] | None = None) -> int:
    """Run the command in `arguments` (the process's own when None) and return the exit code."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    if parsed.command == "report":
        if parsed.load and not parsed.out:
            parser.error("--load goes into a page of its own: say where with --out")
        return report_command(parsed.artifact, parsed.load, parsed.out)
    return build_command(parsed.recipe, parsed.store, parsed.work, parsed.summary, parsed.parallel, tuple(parsed.keep))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="slipstream-builder", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="build an artifact from a recipe")
    build.add_argument("--recipe", type=Path, required=True, help="the recipe, a JSON file")
    build.add_argument("--store", type=Path, required=True, help="the artifact store, a folder")
    build.add_argument("--work", type=Path, help="a folder for temporary files; the store when absent")
    build.add_argument("--summary", type=Path, help="where to write the build's summary as well")
    build.add_argument("--parallel", type=_positive, help="candidates to build at a time; as the processors allow")
    build.add_argument(
        "--keep",
        action="append",
        default=[],
        metavar="DIGEST",
        help="an artifact to leave in the store; where some are named, all others but the new one are removed",
    )
    report = commands.add_parser("report", help="show what a build found, and write its report, as one HTML page")
    report.add_argument("artifact", type=Path, help="the artifact's folder, or one with artifacts in it: the newest")
    report.add_argument("--load", type=Path, help="what a load run measured, a JSON file")
    report.add_argument("--out", type=Path, help="where to write the page (the artifact holds one already)")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


if __name__ == "__main__":
    # Libraries' advice is for those who call them, not for those who run a build.
    logging.disable(logging.WARNING)
    sys.exit(main())
