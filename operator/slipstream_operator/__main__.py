"""The `slipstream` command: reads arguments, hands over to what does the work, and turns errors into one line."""

import argparse
import asyncio
import contextlib
import importlib.util
import os
import signal
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

from slipstream_contract import names
from slipstream_contract.errors import ContractError
from slipstream_operator.api.spec import AgentSpec
from slipstream_operator.errors import MachineError, SlipstreamError
from slipstream_operator.local import manifest_file
from slipstream_operator.local.build import build
from slipstream_operator.local.lines import LineView
from slipstream_operator.local.live import BuildView, LiveView
from slipstream_operator.local.load import LoadSettings
from slipstream_operator.local.up import UpSettings, View, up

INTERRUPTED = 130
TABLE_WIDTH = 110
T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options, rest = _parser().parse_known_args(arguments)
    if rest and not options.passes_on:
        _parser().error(f"unknown arguments: {' '.join(rest)}")
    try:
        return int(options.run(options, rest))
    except (SlipstreamError, ContractError) as error:
        return _fail(str(error), getattr(error, "exit_code", 2))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}; mend that and run again, nothing half-built is left", 3)
    except KeyboardInterrupt:
        return _fail(
            "interrupted; all children have ended, and a later run goes on from what was finished", INTERRUPTED
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="slipstream", description="Compress, prove, serve and scale agents.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_up(commands.add_parser("up", help="build, serve and scale a manifest on this machine"))
    _add_build(commands.add_parser("build", help="only build the artifact of a manifest"))
    for name, module, needs, text in _PASSED_ON:
        command = commands.add_parser(name, help=text, add_help=False)
        command.set_defaults(run=_pass_on, module=module, needs=needs, passes_on=True)
    return parser


_BUILDER = ("builder", ("slipstream_builder", "torch"))
_RUNTIME = ("runtime", ("slipstream_runtime", "onnxruntime"))
_OPERATOR = ("operator", ("kopf", "kubernetes"))
"""An extra of the distribution, and modules whose absence shows that it is not installed."""

_PASSED_ON = (
    ("report", ("slipstream_builder", "report"), _BUILDER, "write an artifact's report again"),
    ("serve", ("slipstream_runtime",), _RUNTIME, "serve one variant of an artifact"),
    ("bench", ("slipstream_runtime.load",), _RUNTIME, "load a served model"),
    ("key", ("slipstream_runtime.callers",), _RUNTIME, "make a key for a caller of a served model"),
    ("operator", ("slipstream_operator.cluster",), _OPERATOR, "run the operator in or against a cluster"),
)
"""Commands that other programs of the distribution carry out, each with its own --help."""


def _add_up(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="a YAML file with one AgentDeployment")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (%(default)s)")
    parser.add_argument("--state", type=Path, help="folder for artifacts and logs (.slipstream/NAME)")
    parser.add_argument("--load", action="store_true", help="load it with its validation inputs, report, and end")
    parser.add_argument("--load-seconds", type=int, default=90, help="length of the load (%(default)s)")
    parser.add_argument("--rows-per-request", type=int, default=1, help="items of one request (%(default)s)")
    parser.add_argument("--plain", action="store_true", help="print lines instead of a live view")
    parser.set_defaults(run=_up, passes_on=False)


def _add_build(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="a YAML file with one AgentDeployment")
    parser.add_argument("--state", type=Path, help="folder for artifacts and logs (.slipstream/NAME)")
    parser.add_argument("--plain", action="store_true", help="print lines instead of a live view")
    parser.set_defaults(run=_build, passes_on=False)


def _up(options: argparse.Namespace, _rest: Sequence[str]) -> int:
    _require(*_BUILDER)
    _require(*_RUNTIME)
    spec = manifest_file.read(options.file)
    load = LoadSettings(options.rows_per_request, options.load_seconds) if options.load else None
    state = _state(options, spec)
    console = Console()
    view: View = LineView(_print_line) if options.plain or not console.is_terminal else LiveView(console)
    result = _run_until_signal(up(spec, UpSettings(state, options.host, options.port, load), view))
    if result is not None:
        Console(width=max(console.width, TABLE_WIDTH)).print(result.table())
        console.print(f"report: {os.path.relpath(state / 'report.html')}", highlight=False)
    return 0


def _build(options: argparse.Namespace, _rest: Sequence[str]) -> int:
    _require(*_BUILDER)
    spec = manifest_file.read(options.file)
    state = _state(options, spec)
    console = Console()
    with LineView(_print_line) if options.plain or not console.is_terminal else BuildView(console, spec.name) as view:
        summary = _run_until_signal(build(spec, state, view))
    _print_line(f"{summary.message}\n{state / 'artifacts' / names.artifact_folder(summary.artifact_digest or '')}")
    return 0


def _state(options: argparse.Namespace, spec: AgentSpec) -> Path:
    state: Path = options.state or Path(".slipstream") / spec.name
    return state.resolve()


def _pass_on(options: argparse.Namespace, rest: Sequence[str]) -> int:
    _require(*options.needs)
    os.execv(sys.executable, [sys.executable, "-m", *options.module, *rest])


def _require(extra: str, modules: tuple[str, ...]) -> None:
    """Raise MachineError when a module is not installed, naming the extra that brings it."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise MachineError(f"{missing[0]} is not installed; run: pip install 'slipstream-operator[{extra}]'")


def _run_until_signal(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end; on SIGINT or SIGTERM cancel it, let it clean up, and raise KeyboardInterrupt."""

    async def supervised() -> T:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        return await task

    try:
        return asyncio.run(supervised())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _print_line(text: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def _fail(message: str, code: int) -> int:
    for line in message.splitlines():
        sys.stderr.write(f"slipstream: error: {line}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
