"""Bound, padded runs give what the plain run of the same padded batch gives, and never show the padding."""

import numpy as np
import onnxruntime as ort
import pytest

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.model.padded import PaddedRuns, bucket, bucket_sizes, paddable
from slipstream_runtime.protocol.signature import Signature
from slipstream_testing.artifacts import echo, mlp

CAP = 24


def opened(model, cap=CAP, **options):
    session = ort.InferenceSession(model.proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session, PaddedRuns(session, Signature(model.inputs, model.outputs), cap, **options)


@pytest.fixture(scope="module")
def both():
    return opened(mlp())


def rows(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)


def test_buckets_are_the_powers_of_two_and_the_cap():
    assert bucket_sizes(1) == (1,)
    assert bucket_sizes(8) == (1, 2, 4, 8)
    assert bucket_sizes(CAP) == (1, 2, 4, 8, 16, 24)


def test_every_number_of_rows_takes_the_smallest_bucket_that_holds_it():
    for cap in (1, 2, 3, 8, 24, 100):
        for count in range(1, cap + 1):
            assert bucket(count, cap) == min(size for size in bucket_sizes(cap) if size >= count)


@pytest.mark.parametrize("count", range(1, CAP + 1))
def test_the_answers_are_bit_equal_to_the_plain_run_of_the_padded_batch(both, count):
    session, runs = both
    given = rows(count, seed=count)
    padded = np.concatenate([given, np.repeat(given[-1:], bucket(count, CAP) - count, axis=0)])
    (expected,) = session.run(None, {"features": padded})
    (found,) = runs.run((given,))
    assert found.shape == (count, 3)
    assert np.array_equal(found, expected[:count])


def test_no_row_of_an_earlier_batch_stays_in_the_buffers():
    _, runs = opened(echo())
    runs.run((np.full((16, 1), 7, dtype=np.int64),))
    (buffers,) = runs._buffers.values()
    runs.run((np.full((9, 1), 5, dtype=np.int64),))
    assert set(buffers.host[0].ravel()) == {5}
    assert set(buffers.inputs[0].numpy().ravel()) == {5}


def test_answers_stay_as_they_are_when_the_next_batch_runs():
    _, runs = opened(echo())
    (first,) = runs.run((np.arange(4, dtype=np.int64).reshape(4, 1),))
    runs.run((np.zeros((4, 1), dtype=np.int64),))
    assert first.ravel().tolist() == [0, 1, 2, 3]


def test_buffers_are_made_once_for_each_bucket():
    pinned = []
    _, runs = opened(mlp(), pin=pinned.append)
    for count in (3, 4, 3, 1, 17, 24):
        runs.run((rows(count),))
    assert sorted(array.shape for array in pinned) == [(1, 8), (4, 8), (24, 8)]


def test_a_model_whose_output_has_another_free_axis_gives_its_own_arrays():
    model = mlp()
    outputs = (TensorSpec("scores", "FP32", (-1, -1)),)
    session = ort.InferenceSession(model.proto.SerializeToString(), providers=["CPUExecutionProvider"])
    runs = PaddedRuns(session, Signature(model.inputs, outputs), CAP)
    (found,) = runs.run((rows(5),))
    kept = found.copy()
    runs.run((rows(5, seed=9),))
    assert found.shape == (5, 3)
    assert np.array_equal(found, kept)


def test_each_bucket_has_a_cuda_graph_of_its_own():
    _, runs = opened(mlp(), graphs=True)
    for count in (1, 3, 9):
        runs.run((rows(count),))
    identifiers = {size: found.options.get_run_config_entry("gpu_graph_id") for size, found in runs._buffers.items()}
    assert identifiers == {1: "1", 4: "4", 16: "16"}


def test_a_device_hands_its_answers_over_without_a_second_copy():
    """The device here is the CPU in all but name, so that the array is the binding's own memory."""
    _, runs = opened(echo())
    runs._device = "elsewhere"
    array = np.arange(4, dtype=np.int64).reshape(4, 1)
    assert np.shares_memory(runs._taken(array, 3), array)


@pytest.mark.parametrize(
    ("spec", "can"),
    [
        (TensorSpec("x", "FP32", (-1, 4)), True),
        (TensorSpec("x", "FP32", (-1, -1)), False),
        (TensorSpec("x", "FP32", (2, 4)), False),
        (TensorSpec("x", "BYTES", (-1, 4)), False),
    ],
)
def test_only_a_free_batch_axis_is_padded(spec, can):
    assert paddable(Signature((spec,), (TensorSpec("y", "FP32", (-1, 4)),))) is can
