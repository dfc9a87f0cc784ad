"""`python -m slipstream_runtime.load`: offer load to a served model, one JSON line a second on standard output."""

import argparse
import asyncio
import http.client
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import uvloop
from numpy.typing import NDArray

from slipstream_contract import codec
from slipstream_contract.load import LoadSecond
from slipstream_runtime.load.bodies import InputsError, build_requests, request_head
from slipstream_runtime.load.loops import closed_loop, open_loop
from slipstream_runtime.load.schedule import Schedule, parse_schedule
from slipstream_runtime.load.traffic import Address


class UsageError(Exception):
    """The load cannot start; the message is one line that says what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Offer the load; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        target = _target(options.url)
        requests = _requests(target, options)
        schedule = _schedule(options)
    except UsageError as error:
        sys.stderr.write(f"slipstream-load: {error}\n")
        return 2
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(target, requests, schedule, options))
    return 0


async def _run(target: Address, requests: list[bytes], schedule: Schedule | None, options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if schedule is not None:
        await open_loop(target, requests, schedule, options.seed, _emit, stop)
        return
    total, seconds = await closed_loop(target, requests, options.concurrency, options.seconds, _emit, stop)
    _print(
        {
            "requests": total.answered,
            "failed": total.failed + total.rejected,
            "seconds": round(seconds, 6),
            "p50_milliseconds": total.latencies.percentile_milliseconds(50),
            "p99_milliseconds": total.latencies.percentile_milliseconds(99),
        }
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="slipstream_runtime.load", description="Offer load to a served model.")
    parser.add_argument("--url", required=True, help="the server, such as http://127.0.0.1:8000")
    parser.add_argument("--model", required=True, help="the model's name in URLs")
    parser.add_argument("--inputs", required=True, help="an npz file with an array for each input of the model")
    parser.add_argument("--token-file", default="", help="a file that holds the bearer token (default: none is sent)")
    parser.add_argument("--rows", type=int, default=1, help="rows of one request (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="of the rows drawn and the arrivals (default: 0)")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--schedule", help="open loop: SECOND:RATE,SECOND:RATE,...; rates in requests a second")
    kind.add_argument("--concurrency", type=int, help="closed loop: how many callers wait for answers at once")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long the closed loop runs (default: 10)")
    return parser


def _target(url: str) -> Address:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        host, port = None, 0
    if host is None or parts.scheme != "http":
        raise UsageError(f"--url: {url!r} is not of the form http://HOST:PORT")
    return Address(host, port)


def _schedule(options: argparse.Namespace) -> Schedule | None:
    if options.schedule is None:
        if options.concurrency < 1 or options.seconds <= 0:
            raise UsageError("--concurrency and --seconds must be positive")
        return None
    try:
        return parse_schedule(options.schedule)
    except ValueError as error:
        raise UsageError(f"--schedule: {error}") from error


def _requests(target: Address, options: argparse.Namespace) -> list[bytes]:
    if options.rows < 1:
        raise UsageError("--rows: must be at least 1")
    token = _token(options.token_file)
    metadata = _metadata(target, options.model, token)
    try:
        arrays = _arrays(Path(options.inputs))
        head = request_head(target.host, options.model, token)
        return build_requests(head, metadata, arrays, options.rows, options.seed)
    except InputsError as error:
        raise UsageError(f"--inputs: {options.inputs}: {error}") from error


def _token(path: str) -> str:
    try:
        return Path(path).read_text().strip() if path else ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--token-file: {path}: cannot be read ({error})") from error


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except OSError as error:
        raise InputsError(error.strerror or "not an npz file") from error
    except (ValueError, AttributeError) as error:
        raise InputsError("not an npz file of plain arrays") from error


def _metadata(target: Address, model: str, token: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection(target.host, target.port, timeout=10)
    try:
        headers = {"Connection": "close"} | ({"Authorization": f"Bearer {token}"} if token else {})
        connection.request("GET", f"/v2/models/{model}", headers=headers)
        answer = connection.getresponse()
        document: dict[str, Any] = json.loads(answer.read())
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise UsageError(
            f"--url: nothing answers at {target.host}:{target.port} ({error}); start the server"
        ) from error
    finally:
        connection.close()
    if answer.status != 200:
        raise UsageError(f"--model: {document.get('error', answer.status)}")
    return document


def _emit(second: LoadSecond) -> None:
    _print(second)


def _print(value: object) -> None:
    sys.stdout.write(codec.canonical_json(value).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
