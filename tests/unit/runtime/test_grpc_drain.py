"""A replica process that is told to stop while callers are at it: every call it took is answered."""

import asyncio

import grpc
import numpy as np
import pytest

from slipstream_runtime.rpc.messages import open_inference_pb2 as messages
from slipstream_testing.grpc_service import method
from slipstream_testing.replicas import replica

REFUSED = "Connection refused"


@pytest.fixture(scope="module")
def stopping(artifact):
    with replica(artifact, grpc_port=0) as running:
        yield running


async def call_until_gone(channel, content, answered, started):
    """Call one after the other until nobody listens there any more; return why the last call failed."""
    call = channel.unary_unary(method("ModelInfer"))
    while True:
        try:
            answer = messages.ModelInferResponse.FromString(await call(content, timeout=20))
        except grpc.aio.AioRpcError as error:
            return error.details()
        assert answer.outputs[0].shape == [1, 3]
        answered.append(1)
        started.set()


async def test_no_call_is_lost_when_a_replica_stops_under_load(stopping):
    request = messages.ModelInferRequest(model_name="tiny")
    request.inputs.add(name="features", datatype="FP32", shape=[1, 8])
    request.raw_input_contents.append(np.ones((1, 8), np.float32).tobytes())
    content, answered, started = request.SerializeToString(), [], asyncio.Event()
    # A call that the server says it never took is sent again by gRPC itself; no policy of retries is set.
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(stopping.grpc_address, options=options) for _ in range(4)]
    callers = [
        asyncio.ensure_future(call_until_gone(channels[number % 4], content, answered, started)) for number in range(32)
    ]
    await started.wait()
    before = len(answered)
    stopping.process.terminate()
    reasons = await asyncio.gather(*callers)
    assert len(answered) > before
    assert all(REFUSED in reason for reason in reasons), set(reasons)
    assert await asyncio.to_thread(stopping.process.wait, 20) == 0
    for channel in channels:
        await channel.close()
