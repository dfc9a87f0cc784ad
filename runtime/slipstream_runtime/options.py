"""Reads ServingOptions from the command line; the parser is made from the contract's dataclass."""

import argparse
import dataclasses
from collections.abc import Sequence

from slipstream_contract.serving import ServingOptions
from slipstream_runtime.errors import StartError

LOWEST = {
    "port": 0,
    "metrics_port": 0,
    "socket_fd": -1,
    "objective_milliseconds": 1,
    "max_batch": 0,
    "max_delay_milliseconds": 0,
    "cache_bytes": 0,
    "cache_ttl_seconds": 1,
    "threads": 0,
    "processes": 0,
    "max_connections": 1,
    "grpc_port": -1,
    "drain_seconds": 0,
}

CHOICES = {
    "authentication": ("keys", "token-review", "none"),
    "provider": ("cpu", "cuda", "tensorrt"),
    "metrics_aliases": ("", "triton"),
    "log_format": ("text", "json"),
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]  # argparse says NoReturn; raising is that
        raise StartError(f"{message}; --help lists the options")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with one option for each field of ServingOptions."""
    parser = _Parser(prog="slipstream_runtime", description="Serve one variant of an artifact.", allow_abbrev=False)
    documented = _attribute_lines(ServingOptions.__doc__ or "")
    for field in dataclasses.fields(ServingOptions):
        required = field.default is dataclasses.MISSING
        help_text = documented.get(field.name, "").replace("%", "%%")
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=field.type if callable(field.type) else str,
            required=required,
            default=None if required else field.default,
            help=help_text if required else f"{help_text} (default: %(default)s)",
        )
    return parser


def parse(arguments: Sequence[str]) -> ServingOptions:
    """Return the options in `arguments`.

    Raises:
        StartError: an option is unknown, missing or out of range.
    """
    options = ServingOptions(**vars(build_parser().parse_args(arguments)))
    for name, lowest in LOWEST.items():
        if getattr(options, name) < lowest:
            raise StartError(f"--{name.replace('_', '-')}: must be at least {lowest}")
    for name, choices in CHOICES.items():
        if getattr(options, name) not in choices:
            raise StartError(f"--{name.replace('_', '-')}: must be one of {', '.join(filter(None, choices))}")
    _check_percentile(options.objective_percentile)
    return options


def _check_percentile(text: str) -> None:
    try:
        valid = 0 < float(text) < 100
    except ValueError:
        valid = False
    if not valid:
        raise StartError(f"--objective-percentile: must be a number between 0 and 100, such as 99, not {text!r}")


def _attribute_lines(docstring: str) -> dict[str, str]:
    lines = (line.strip() for line in docstring.splitlines())
    pairs = (line.split(": ", 1) for line in lines if ": " in line)
    return {name: text.rstrip(".") for name, text in pairs}
