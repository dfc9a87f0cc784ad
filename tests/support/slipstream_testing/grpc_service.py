"""The gRPC service in the test's own event loop, in front of any function as the model."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.batching.batcher import Batcher, BatchRules
from slipstream_runtime.batching.curve import Line
from slipstream_runtime.batching.runners import LoopRunner, Runner
from slipstream_runtime.callers.gate import Gate, OpenGate
from slipstream_runtime.observing.health import Health
from slipstream_runtime.observing.telemetry import Telemetry
from slipstream_runtime.plane import DataPlane
from slipstream_runtime.protocol.signature import Signature, Tensors
from slipstream_runtime.rest.sockets import bind
from slipstream_runtime.rpc.catalogue import Catalogue
from slipstream_runtime.rpc.limits import Limits
from slipstream_runtime.rpc.listener import Listener
from slipstream_runtime.rpc.messages import open_inference_pb2 as messages
from slipstream_runtime.rpc.service import Service

ECHO = Signature((TensorSpec("x", "FP32", (-1, -1)),), (TensorSpec("y", "FP32", (-1, -1)),))
OBJECTIVE_SECONDS = 30.0


@dataclass(frozen=True)
class Running:
    """The service and what it counts."""

    port: int
    listener: Listener
    telemetry: Telemetry
    health: Health
    batcher: Batcher


@asynccontextmanager
async def grpc_service(
    run: Callable[[Tensors], Tensors] = lambda tensors: tensors,
    signature: Signature = ECHO,
    limits: Limits | None = None,
    gate: Gate | None = None,
    runner: Runner | None = None,
) -> AsyncIterator[Running]:
    """Serve until the block ends."""
    telemetry = Telemetry(OBJECTIVE_SECONDS)
    rules = BatchRules(OBJECTIVE_SECONDS, 64, batched=signature.batched)
    batcher = Batcher(run, Line(1e-5, 1e-6), "original", rules, runner or LoopRunner(), telemetry)
    plane = DataPlane(signature, batcher, None, telemetry, OBJECTIVE_SECONDS)
    health = Health(lambda: 0.0)
    health.serving = True
    catalogue = Catalogue("echo", signature, health, telemetry, 64, 0.0)
    service = Service("echo", signature, plane, gate or OpenGate(), telemetry, catalogue)
    sock = bind("grpc-port", "127.0.0.1", 0)
    port = sock.getsockname()[1]
    listener = Listener(service, sock, limits or Limits())
    await listener.start()
    try:
        yield Running(port, listener, telemetry, health, batcher)
    finally:
        listener.stop_accepting()
        await listener.drain(0.0, 5.0)


def method(name: str) -> str:
    """Return a method's path."""
    return f"/inference.GRPCInferenceService/{name}"


def echo_request(array: Any, **more: Any) -> Any:
    """Return a request to the echo model, with `array` as raw contents."""
    request = messages.ModelInferRequest(model_name="echo", **more)
    request.inputs.add(name="x", datatype="FP32", shape=array.shape)
    request.raw_input_contents.append(array.tobytes())
    return request


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until `condition` holds, five seconds at most."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # the counters that tests wait for set no event
            await asyncio.sleep(0.001)
