"""Whole answers are found by every byte that asked for them, and the memory they take is the memory they claim."""

import gc
import tracemalloc

import numpy as np
import pytest

from slipstream_runtime.caching.cache import AnswerCache
from slipstream_runtime.caching.lru import ENTRY_OVERHEAD_BYTES, ByteLru
from slipstream_runtime.caching.responses import ResponseCache
from slipstream_runtime.observing.telemetry import Telemetry
from slipstream_runtime.protocol.reply import Answer

BODY = b'{"inputs": []}'


@pytest.fixture
def telemetry():
    return Telemetry(0.1)


@pytest.fixture
def responses(telemetry):
    return ResponseCache(ByteLru(100_000, 10), "artifact", "original", telemetry.responses, lambda: 1.0)


def asked(responses, tenant=b"a", route="infer", header_length=None, body=BODY):
    return responses.find(tenant, route, header_length, body)


def test_an_answer_is_given_again_to_the_same_request_only(responses, telemetry):
    key, kept = asked(responses)
    assert kept is None
    responses.keep(key, b"answer", 3, "original")
    assert asked(responses)[1] == (b"answer", 3)
    others = [{"tenant": b"b"}, {"route": "predict"}, {"header_length": 0}, {"body": BODY + b" "}, {"body": b""}]
    assert [asked(responses, **other)[1] for other in others] == [None] * len(others)
    assert (telemetry.responses.hits, telemetry.responses.misses) == (1, 6)


def test_the_parts_of_a_request_cannot_run_into_each_other(responses):
    responses.keep(asked(responses, tenant=b"a", route="binfer")[0], b"x", 1, "original")
    assert asked(responses, tenant=b"ab", route="infer")[1] is None


def test_answers_of_another_variant_are_neither_kept_nor_given(responses):
    key, _ = asked(responses)
    responses.switch("int8")
    responses.keep(key, b"of int8", 1, "int8")
    assert asked(responses)[1] is None
    responses.keep(asked(responses)[0], b"of int8", 1, "int8")
    assert asked(responses)[1] is not None
    responses.switch("original")
    assert asked(responses)[1] is None


def test_the_least_recently_used_entry_leaves_first_and_the_bytes_are_shared_by_all_levels(telemetry):
    store = ByteLru(2 * (100 + ENTRY_OVERHEAD_BYTES), 10)
    store.put(b"1", "one", 100, 0, telemetry.answers)
    store.put(b"2", "two", 100, 0, telemetry.responses)
    store.get(b"1", 0)
    store.put(b"3", "three", 100, 0, telemetry.responses)
    assert [store.get(key, 0) for key in (b"1", b"2", b"3")] == ["one", None, "three"]
    assert telemetry.answers.held_bytes == telemetry.responses.held_bytes == 100 + ENTRY_OVERHEAD_BYTES
    assert store.bytes == 2 * (100 + ENTRY_OVERHEAD_BYTES)
    store.put(b"4", "large", 1000, 0, telemetry.answers)
    assert store.get(b"4", 0) is None


@pytest.mark.parametrize(("answer_bytes", "columns"), [(50, 1), (400, 64), (5000, 1000)])
def test_the_memory_really_taken_is_within_a_fifth_of_the_bound(answer_bytes, columns, telemetry):
    bound = 4_000_000
    gc.collect()
    tracemalloc.start()
    try:
        store = ByteLru(bound, 1000)
        responses = ResponseCache(store, "artifact", "original", telemetry.responses, lambda: 1.0)
        answers = AnswerCache(store, "artifact", "original", telemetry, lambda: 1.0)
        before = tracemalloc.get_traced_memory()[0]
        for number in range(2 * bound // (answer_bytes + ENTRY_OVERHEAD_BYTES)):
            responses.keep(
                asked(responses, body=b"%d" % number)[0], b"%05d" % number * (answer_bytes // 5), 1, "original"
            )
            outputs = (np.full((1, columns), number, np.float32),)
            answers.submit(
                (np.array([[number]]),),
                b"a",
                Gone(),
                lambda reply, outputs=outputs: reply.set_result(Answer(outputs, "original")),
            )
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert store.bytes > 0.9 * bound
    assert 0.5 * bound < taken <= 1.2 * bound


class Gone:
    """A caller who does not care for the answer."""

    def done(self):
        return False

    def set_result(self, answer):
        pass
