"""Calls a served model at an even rate and never calls again: every request that fails is counted, with its reason.

Half of the requests come on connections of their own, half on connections that are kept, so that neither a pod that
takes no new connections nor one that ends kept ones goes unnoticed. Prints a line of JSON a second until it is ended.
"""

import asyncio
import itertools
import json
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import numpy as np

TOLD = 20
"""Failures that are told one by one."""


class Tally:
    def __init__(self) -> None:
        self.sent = self.answered = 0
        self.failures: Counter[str] = Counter()
        self.first: list[str] = []
        self.slowest = 0.0

    def line(self) -> str:
        failed = sum(self.failures.values())
        counts = {"sent": self.sent, "answered": self.answered, "failed": failed, "failures": dict(self.failures)}
        return json.dumps({**counts, "first": self.first, "slowest_seconds": round(self.slowest, 3)})

    def fail(self, reason: str, words: str) -> None:
        self.failures[reason] += 1
        if len(self.first) < TOLD:
            self.first.append(f"{datetime.now(UTC):%H:%M:%S.%f} {reason}: {words}")


def main(address: str, inputs: str, token_file: str, rate: str) -> None:
    token = Path(token_file).read_text().strip()
    bodies = [_body(np.load(inputs), row) for row in range(16)]
    asyncio.run(_call_at_even_rate(address, token, bodies, float(rate)))


async def _call_at_even_rate(address: str, token: str, bodies: list[dict], rate: float) -> None:
    tally, headers = Tally(), {"Authorization": f"Bearer {token}"}
    new, kept = aiohttp.TCPConnector(force_close=True), aiohttp.TCPConnector()
    async with (
        aiohttp.ClientSession(connector=new, headers=headers) as strangers,
        aiohttp.ClientSession(connector=kept, headers=headers) as regulars,
        asyncio.TaskGroup() as calls,
    ):
        await _until_reached(strangers, address)
        calls.create_task(_tell(tally))
        begun = time.monotonic()
        for number in itertools.count():
            await asyncio.sleep(begun + number / rate - time.monotonic())
            session = regulars if number % 2 else strangers
            calls.create_task(_call(session, address, bodies[number % len(bodies)], tally))


async def _until_reached(session: aiohttp.ClientSession, address: str) -> None:
    """Return when the service answers: network policies know a new pod only a moment after its start."""
    while True:
        try:
            async with session.get(address):
                return
        except aiohttp.ClientConnectorError:
            await asyncio.sleep(0.05)


async def _call(session: aiohttp.ClientSession, address: str, body: dict, tally: Tally) -> None:
    tally.sent += 1
    begun = time.monotonic()
    try:
        async with session.post(address, json=body, timeout=aiohttp.ClientTimeout(total=10)) as answer:
            words = await answer.text()
            if answer.status == 200:
                tally.answered += 1
            else:
                tally.fail(str(answer.status), words)
    except (aiohttp.ClientError, TimeoutError) as error:
        kind = "a new" if session.connector.force_close else "a kept"
        tally.fail(f"{type(error).__name__} on {kind} connection", str(error))
    tally.slowest = max(tally.slowest, time.monotonic() - begun)


async def _tell(tally: Tally) -> None:
    while True:
        await asyncio.sleep(1)
        print(tally.line(), flush=True)  # noqa: T201


def _body(arrays, row: int) -> dict:
    name = arrays.files[0]
    values = arrays[name][row : row + 1]
    return {
        "inputs": [{"name": name, "shape": list(values.shape), "datatype": "FP32", "data": values.ravel().tolist()}]
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
