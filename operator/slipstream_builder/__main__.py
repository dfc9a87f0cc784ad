"""The command line: `python -m slipstream_builder build ...` and `... report ...`."""

import argparse
import logging
import sys
from pathlib import Path

from slipstream_builder.commands import build_command


def main(arguments: list[str] | None = None) -> int:
    """Run the command in `arguments` (the process's own when None) and return the exit code."""
    parsed = _parser().parse_args(arguments)
    # Libraries' advice is for those who call them, not for those who run a build.
    logging.disable(logging.WARNING)
    return build_command(parsed.recipe, parsed.store, parsed.work, parsed.summary)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="slipstream-builder", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="build an artifact from a recipe")
    build.add_argument("--recipe", type=Path, required=True, help="the recipe, a JSON file")
    build.add_argument("--store", type=Path, required=True, help="the artifact store, a folder")
    build.add_argument("--work", type=Path, help="a folder for temporary files; the store when absent")
    build.add_argument("--summary", type=Path, help="where to write the build's summary as well")
    return parser


if __name__ == "__main__":
    sys.exit(main())
