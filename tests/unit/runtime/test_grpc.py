"""The gRPC service in front of an echo, spoken to by grpc.aio: its forms, its errors, and who waits for whom."""

import asyncio

import grpc
import numpy as np
import pytest
import pytest_asyncio

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.callers.gate import Caller
from slipstream_runtime.errors import AuthenticationError, ForbiddenError, UnavailableError
from slipstream_runtime.protocol.signature import Signature
from slipstream_runtime.rpc.limits import MAX_MESSAGE_BYTES
from slipstream_runtime.rpc.messages import open_inference_pb2 as messages
from slipstream_testing.grpc_service import echo_request, grpc_service, method, until

pytestmark = pytest.mark.asyncio(loop_scope="module")  # grpc.aio's client takes new event loops badly

ROW = np.array([[1.5, -2.0]], dtype=np.float32)
INVALID = grpc.StatusCode.INVALID_ARGUMENT
UNIMPLEMENTED = grpc.StatusCode.UNIMPLEMENTED
TWO = Signature(
    (TensorSpec("a", "INT64", (-1, 1)), TensorSpec("b", "FP32", (-1, 1))),
    (TensorSpec("a2", "INT64", (-1, 1)), TensorSpec("b2", "FP32", (-1, 1))),
)


class HeldRunner:
    """Ends each batch only when told to."""

    inline = False

    def __init__(self):
        self.started = asyncio.Event()
        self.waiting = []
        self.rows = []

    def start(self, work, finish, more):
        self.started.set()
        self.waiting.append((work, finish))

    def end(self):
        work, finish = self.waiting.pop(0)
        finish(work())

    def close(self):
        pass


@pytest_asyncio.fixture(loop_scope="module")
async def echo():
    async with grpc_service() as running:
        yield running


def channel(running, *options):
    return grpc.aio.insecure_channel(
        f"127.0.0.1:{running.port}", options=[("grpc.use_local_subchannel_pool", 1), *options]
    )


async def infer(channel, request, **more):
    call = channel.unary_unary(
        method("ModelInfer"),
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=messages.ModelInferResponse.FromString,
    )
    return await call(request, **more)


async def ask(channel, name, request=b"", answer=None):
    call = channel.unary_unary(method(name), response_deserializer=answer and answer.FromString)
    return await call(request if isinstance(request, bytes) else request.SerializeToString())


async def error_of(awaitable):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await awaitable
    assert "\n" not in caught.value.details()
    return caught.value


async def test_an_answer_comes_raw_with_its_shape_id_and_variant(echo):
    async with channel(echo) as there:
        answer = await infer(there, echo_request(ROW, id="abc"))
    assert (answer.model_name, answer.model_version, answer.id) == ("echo", "1", "abc")
    assert answer.parameters["variant"].string_param == "original"
    (output,) = answer.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("y", "FP32", [1, 2])
    assert list(answer.raw_output_contents) == [ROW.tobytes()]


async def test_only_the_outputs_asked_for_come_in_their_order():
    request = messages.ModelInferRequest(model_name="echo")
    request.inputs.add(name="b", datatype="FP32", shape=[1, 1]).contents.fp32_contents.append(0.5)
    request.inputs.add(name="a", datatype="INT64", shape=[1, 1]).contents.int64_contents.append(7)
    async with grpc_service(signature=TWO) as running, channel(running) as there:
        both = await infer(there, request)
        request.outputs.add(name="b2")
        one = await infer(there, request)
    assert [output.name for output in both.outputs] == ["a2", "b2"]
    assert np.frombuffer(both.raw_output_contents[0], np.int64) == 7
    assert [output.name for output in one.outputs] == ["b2"]
    assert list(one.raw_output_contents) == [np.float32(0.5).tobytes()]


def spoilt(change):
    request = echo_request(ROW)
    change(request)
    return request


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda r: setattr(r, "model_name", "other"), grpc.StatusCode.NOT_FOUND, "'echo', version 1"),
        (lambda r: setattr(r, "model_version", "2"), grpc.StatusCode.NOT_FOUND, "no such model or version"),
        (lambda r: r.raw_input_contents.append(b""), INVALID, "2 tensors for 1 inputs"),
        (lambda r: r.inputs[0].contents.fp32_contents.append(1.0), INVALID, "not both"),
        (lambda r: r.inputs[0].shape.append(3), INVALID, "does not fit"),
        (lambda r: r.inputs[0].shape.__setitem__(0, -1), INVALID, "does not fit"),
        (lambda r: r.inputs[0].shape.__setitem__(0, 2**62), INVALID, "binary bytes"),
        (lambda r: setattr(r.inputs[0], "datatype", "INT8"), INVALID, "datatype must be FP32"),
        (lambda r: setattr(r.inputs[0], "name", "z"), INVALID, "unknown; the model takes x"),
        (lambda r: r.inputs.pop(), INVALID, "1 tensors for 0 inputs"),
        (lambda r: r.ClearField("raw_input_contents"), INVALID, "0 elements"),
        (lambda r: r.outputs.add(name="z"), INVALID, "the model gives y"),
        (lambda r: setattr(r.parameters["timeout"], "string_param", "soon"), INVALID, "timeout must be"),
        (
            lambda r: setattr(r.parameters["sequence_id"], "int64_param", 1),
            UNIMPLEMENTED,
            "sequence_id",
        ),
        (
            lambda r: setattr(r.inputs[0].parameters["shared_memory_region"], "string_param", "m"),
            UNIMPLEMENTED,
            "shared_memory_region",
        ),
    ],
)
async def test_a_bad_request_gets_its_code_and_one_line_that_names_the_field(echo, change, code, words):
    async with channel(echo) as there:
        error = await error_of(infer(there, spoilt(change)))
        assert (await infer(there, echo_request(ROW))).outputs  # others are not harmed
    assert (error.code(), words in error.details()) == (code, True), error.details()


async def test_what_is_not_finite_is_refused(echo):
    async with channel(echo) as there:
        error = await error_of(infer(there, echo_request(np.array([[np.nan]], np.float32))))
    assert (error.code(), "NaN" in error.details()) == (INVALID, True)


async def test_bytes_that_are_no_message_are_refused(echo):
    async with channel(echo) as there:
        error = await error_of(ask(there, "ModelInfer", b"\xff\xff"))
        assert (error.code(), "ModelInferRequest" in error.details()) == (INVALID, True)
        assert (await error_of(ask(there, "ModelReady", b"\xff\xff"))).code() == INVALID


async def test_a_message_of_very_many_parts_is_refused_unparsed(echo):
    async with channel(echo) as there:
        error = await error_of(ask(there, "ModelInfer", b"\x2a\x00" * 500_000))
    assert (error.code(), "more than 4096" in error.details()) == (INVALID, True)


async def test_a_message_as_large_as_allowed_comes_back_whole(echo):
    array = np.arange(2 * 2**20 - 1024, dtype=np.float32).reshape(1, -1)
    async with channel(echo, ("grpc.max_receive_message_length", -1)) as there:
        answer = await infer(there, echo_request(array))
    assert answer.raw_output_contents[0] == array.tobytes()
    assert echo.listener._shared.unfinished_bytes == 0


async def test_a_larger_message_is_refused_before_it_is_all_there(echo):
    async with channel(echo) as there:
        error = await error_of(ask(there, "ModelInfer", bytes(MAX_MESSAGE_BYTES + 1)))
        assert (await infer(there, echo_request(ROW))).outputs
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than 8388608 bytes" in error.details()
    assert echo.listener._shared.unfinished_bytes == 0


async def test_compressed_messages_are_refused(echo):
    async with channel(echo) as there:
        error = await error_of(infer(there, echo_request(ROW), compression=grpc.Compression.Gzip))
    assert (error.code(), "uncompressed" in error.details()) == (UNIMPLEMENTED, True)


async def test_methods_that_a_replica_does_not_have_are_unimplemented(echo):
    async with channel(echo) as there:
        for name in ("RepositoryModelLoad", "SystemSharedMemoryStatus", "Nonsense"):
            assert (await error_of(ask(there, name))).code() == UNIMPLEMENTED


async def test_the_replica_tells_of_itself_and_its_model(echo):
    async with channel(echo) as there:
        assert (await ask(there, "ServerMetadata", answer=messages.ServerMetadataResponse)).name == "slipstream"
        asked = messages.ModelMetadataRequest(name="echo")
        metadata = await ask(there, "ModelMetadata", asked, messages.ModelMetadataResponse)
        config = await ask(there, "ModelConfig", messages.ModelConfigRequest(name="echo"), messages.ModelConfigResponse)
        index = await ask(there, "RepositoryIndex", answer=messages.RepositoryIndexResponse)
        wrong = await error_of(ask(there, "ModelMetadata", messages.ModelMetadataRequest(name="other")))
    assert (metadata.name, list(metadata.versions), metadata.platform) == ("echo", ["1"], "onnx_onnxv1")
    assert [(t.name, t.datatype, list(t.shape)) for t in metadata.inputs] == [("x", "FP32", [-1, -1])]
    assert (config.config.max_batch_size, list(config.config.input[0].dims)) == (64, [-1])
    assert [(m.name, m.version, m.state) for m in index.models] == [("echo", "1", "READY")]
    assert wrong.code() == grpc.StatusCode.NOT_FOUND


async def test_health_follows_the_replica_also_for_probes_of_kubernetes(echo):
    async with channel(echo) as there:
        check = there.unary_unary("/grpc.health.v1.Health/Check")
        live = await ask(there, "ServerLive", answer=messages.ServerLiveResponse)
        ready = await ask(there, "ServerReady", answer=messages.ServerReadyResponse)
        assert (live.live, ready.ready) == (True, True)
        assert await check(b"") == await check(b"\n\x1einference.GRPCInferenceService") == b"\x08\x01"
        assert (await error_of(check(b"\n\x01x"))).code() == grpc.StatusCode.NOT_FOUND
        echo.health.draining = True
        asked = messages.ModelReadyRequest(name="echo")
        assert not (await ask(there, "ModelReady", asked, messages.ModelReadyResponse)).ready
        assert not (await ask(there, "ServerReady", answer=messages.ServerReadyResponse)).ready
        assert await check(b"") == b"\x08\x02"


async def test_statistics_count_what_was_answered(echo):
    async with channel(echo) as there:
        await infer(there, echo_request(np.ones((3, 2), np.float32)))
        await error_of(infer(there, echo_request(np.array([[np.inf]], np.float32))))
        found = await ask(there, "ModelStatistics", answer=messages.ModelStatisticsResponse)
    (model,) = found.model_stats
    assert (model.inference_count, model.execution_count) == (3, 1)
    assert (model.inference_stats.success.count, model.inference_stats.fail.count) == (1, 1)
    assert model.inference_stats.compute_input.count == model.inference_stats.compute_output.count == 1


async def test_a_cancelled_call_leaves_the_queue_and_is_never_computed():
    runner, computed = HeldRunner(), []

    def run(tensors):
        computed.append(tensors[0].tolist())
        return tensors

    async with grpc_service(run, runner=runner) as running, channel(running) as there:
        first = asyncio.ensure_future(infer(there, echo_request(np.array([[1.0]], np.float32))))
        await runner.started.wait()
        cancelled = asyncio.ensure_future(infer(there, echo_request(np.array([[2.0]], np.float32))))
        await until(lambda: running.batcher.queued_rows == 1)
        cancelled.cancel()
        await until(lambda: running.telemetry.cancelled == 1)
        last = asyncio.ensure_future(infer(there, echo_request(np.array([[3.0]], np.float32))))
        await until(lambda: running.telemetry.in_flight == 2)
        runner.end()
        await first
        await until(lambda: runner.waiting)
        runner.end()
        await last
    assert computed == [[[1.0]], [[3.0]]]
    assert running.telemetry.in_flight == 0


async def test_a_deadline_that_passes_in_the_queue_is_told_and_never_computed():
    runner = HeldRunner()
    async with grpc_service(runner=runner) as running, channel(running) as there:
        first = asyncio.ensure_future(infer(there, echo_request(ROW)))
        await runner.started.wait()
        error = await error_of(infer(there, echo_request(ROW), timeout=0.05))
        runner.end()
        await first
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.interpreted
async def test_an_overload_is_told_at_once_with_the_time_to_come_back():
    runner = HeldRunner()
    async with grpc_service(runner=runner) as running, channel(running) as there:
        first = asyncio.ensure_future(infer(there, echo_request(ROW)))
        await runner.started.wait()
        running.batcher.predicted_wait = lambda *_: 1000.0
        error = await error_of(infer(there, echo_request(ROW)))
        runner.end()
        await first
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert int(dict(error.trailing_metadata())["retry-after-ms"]) >= 1000


async def test_a_failing_model_tells_nothing_of_its_insides():
    def run(tensors):
        raise RuntimeError("/secret/path: no memory")

    async with grpc_service(run) as running, channel(running) as there:
        error = await error_of(infer(there, echo_request(ROW)))
    assert (error.code(), "secret" in error.details()) == (grpc.StatusCode.INTERNAL, False)


class ListGate:
    """Knows one token, forbids another, cannot ask about a third."""

    def known(self, authorization):
        return Caller(b"one") if authorization == b"Bearer known" else None

    async def review(self, authorization):
        await asyncio.sleep(0)
        if authorization == b"Bearer reviewed":
            return Caller(b"two")
        if authorization == b"Bearer forbidden":
            raise ForbiddenError("not for you")
        if authorization == b"Bearer away":
            raise UnavailableError("away", 1)
        raise AuthenticationError("Authorization: missing; send Authorization: Bearer TOKEN")


async def test_callers_are_told_apart_by_their_metadata_and_health_is_open_to_all():
    codes = {}
    async with grpc_service(gate=ListGate()) as running, channel(running) as there:
        for token in ("known", "reviewed"):
            metadata = (("authorization", f"Bearer {token}"),)
            assert (await infer(there, echo_request(ROW), metadata=metadata)).outputs
        for token in ("forbidden", "away", "wrong"):
            metadata = (("authorization", f"Bearer {token}"),)
            codes[token] = (await error_of(infer(there, echo_request(ROW), metadata=metadata))).code().name
        assert (await error_of(ask(there, "ServerMetadata"))).code() == grpc.StatusCode.UNAUTHENTICATED
        assert (await ask(there, "ServerLive", answer=messages.ServerLiveResponse)).live
        blank = (("authorization", " Bearer known"),)  # as perf_analyzer sends it
        assert (await infer(there, echo_request(ROW), metadata=blank)).outputs
    assert codes == {"forbidden": "PERMISSION_DENIED", "away": "UNAVAILABLE", "wrong": "UNAUTHENTICATED"}
    assert running.telemetry.in_flight == 0


async def test_a_stream_answers_each_message_and_goes_on_after_an_error(echo):
    async def sent():
        for number in range(200):
            yield echo_request(np.array([[number]], np.float32), id=str(number)).SerializeToString()
        yield echo_request(np.array([[np.nan]], np.float32), id="bad").SerializeToString()
        yield echo_request(ROW, id="last").SerializeToString()

    async with channel(echo) as there:
        answers = {}
        async for content in there.stream_stream(method("ModelStreamInfer"))(sent()):
            answer = messages.ModelStreamInferResponse.FromString(content)
            answers[answer.infer_response.id] = answer
    assert len(answers) == 202
    assert "NaN" in answers["bad"].error_message
    for number in range(200):
        raw = answers[str(number)].infer_response.raw_output_contents[0]
        assert np.frombuffer(raw, np.float32) == number
    assert answers["last"].infer_response.parameters["triton_final_response"].bool_param
    assert echo.telemetry.in_flight == 0


async def test_many_calls_on_few_connections_get_their_own_answers(echo):
    there = [channel(echo) for _ in range(4)]

    async def one(number):
        for turn in range(20):
            array = np.full((1 + number % 3, 2 + turn * 40), number * 1000 + turn, np.float32)
            answer = await infer(there[number % 4], echo_request(array))
            assert answer.raw_output_contents[0] == array.tobytes()

    await asyncio.gather(*(one(number) for number in range(100)))
    for each in there:
        await each.close()
    assert echo.telemetry.in_flight == 0
