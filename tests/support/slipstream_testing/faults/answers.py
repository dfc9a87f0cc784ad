"""The answers that no good API server gives."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from slipstream_testing.faults.strikes import REFUSALS

SLOW_SECONDS = 2.0
"""How late a slow answer or event is."""

HOLD_SECONDS = 3.0
"""How long the opening of a watch hangs before its connection breaks."""

RETRY_AFTER_SECONDS = 1
_SWAP_SECONDS = 1.0

Ending = Literal["goes on", "ends", "breaks"]


@dataclass(frozen=True)
class Answer:
    """An answer as it came."""

    status: int
    content: str
    body: bytes

    def response(self) -> web.Response:
        """Return it as the answer to give."""
        return web.Response(status=self.status, body=self.body, headers={"Content-Type": self.content})


def refusal(status: str) -> web.Response:
    """Return a refusal as Kubernetes words it."""
    reason = REFUSALS[status]
    retry = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == "429" else {}
    return web.json_response(_status(int(status), reason), status=int(status), headers=retry)


async def bent(fault: str, line: bytes, rest: AsyncIterator[bytes]) -> tuple[bytes, Ending]:
    """Return what comes in place of the event `line`, and how the watch goes on; `rest` are the events after it."""
    if fault == "event late":
        await asyncio.sleep(SLOW_SECONDS)
        return line, "goes on"
    if fault == "events reordered":
        following = b""
        with contextlib.suppress(TimeoutError):
            following = await asyncio.wait_for(anext(rest, b""), _SWAP_SECONDS)
        return following + line, "goes on"
    if fault in ("watch 410", "watch 500"):
        code = fault.split()[1]
        return json.dumps({"type": "ERROR", "object": _status(int(code), REFUSALS[code])}).encode() + b"\n", "ends"
    return _SIMPLE[fault](line)


_SIMPLE: dict[str, Callable[[bytes], tuple[bytes, Ending]]] = {
    "watch drop": lambda _: (b"", "ends"),
    "watch reset": lambda _: (b"", "breaks"),
    "watch truncated": lambda line: (line[: len(line) // 2], "ends"),
    "watch garbage": lambda _: (b"<html><body>502 Bad Gateway</body></html>\n", "ends"),
    "event twice": lambda line: (line + line, "goes on"),
}


def _status(code: int, reason: str) -> dict[str, object]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f"injected fault: {reason}",
        "reason": reason,
        "code": code,
    }
