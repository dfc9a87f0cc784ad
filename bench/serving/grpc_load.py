"""Closed-loop gRPC load from a process of its own: `python -m bench.serving.grpc_load PORT REQUEST CALLS SECONDS`.

Requests are serialised beforehand and answers are not parsed, so that the client costs as little as Python lets it.
"""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import grpc

from bench.serving import protobuf
from bench.serving.contenders import Contender
from bench.serving.models import Model
from bench.serving.processes import Server
from bench.shared.folders import BenchError

METHOD = "/inference.GRPCInferenceService/ModelInfer"
_CHANNELS = 2
_TREE = Path(__file__).parents[2]
_TAIL_SECONDS = 20


def run(contender: Contender, server: Server, model: Model, calls: int, seconds: float, scratch: Path) -> float:
    """Return the good answers a second.

    Raises:
        BenchError: a call failed.
    """
    request = scratch / "request.pb"
    request.write_bytes(protobuf.infer_request(model.name, model.requests[0]))
    authorization = next((line.partition(": ")[2] for line in contender.headers), "")
    command = [sys.executable, "-m", "bench.serving.grpc_load", str(server.grpc_port), str(request)]
    command += [str(calls), str(seconds), authorization]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=_TREE, timeout=seconds + _TAIL_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{contender.name}: gRPC calls did not end in time") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise BenchError(f"{contender.name}: a gRPC call failed ({lines[-1][:160]})")
    counted = json.loads(done.stdout)
    return float(counted["calls"] / counted["seconds"])


async def _load(port: int, request: bytes, calls: int, seconds: float, authorization: str) -> dict[str, float]:
    metadata = (("authorization", authorization),) if authorization else None
    channels = [
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", (("grpc.use_local_subchannel_pool", 1),))
        for _ in range(_CHANNELS)
    ]
    answered, begun = 0, time.perf_counter()

    async def caller(channel: grpc.aio.Channel) -> None:
        nonlocal answered
        infer = channel.unary_unary(METHOD, None, None)
        while time.perf_counter() < begun + seconds:
            await infer(request, metadata=metadata)
            answered += 1

    await asyncio.gather(*(caller(channels[number % _CHANNELS]) for number in range(calls)))
    took = time.perf_counter() - begun
    for channel in channels:
        await channel.close(None)
    return {"calls": answered, "seconds": took}


def main() -> int:
    """Offer the load that the arguments name; return the exit code."""
    port, request, calls, seconds, authorization = sys.argv[1:6]
    try:
        counted = asyncio.run(_load(int(port), Path(request).read_bytes(), int(calls), float(seconds), authorization))
    except grpc.aio.AioRpcError as error:
        sys.stderr.write(f"{error.code().name}: {error.details()}\n")
        return 1
    print(json.dumps(counted))
    return 0


if __name__ == "__main__":
    sys.exit(main())
