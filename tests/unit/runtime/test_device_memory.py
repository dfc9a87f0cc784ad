"""When a device's memory is exhausted, batches are halved once; the second time the device is given up."""

import numpy as np
import pytest

from slipstream_runtime.errors import ModelFailedError
from slipstream_runtime.model.memory import WithinMemory, out_of_memory

CUDA = "Failed to allocate memory for requested buffer of size 1024"


class Device:
    """Doubles its input while it has room for `rows` at a time."""

    def __init__(self, rows):
        self.rows = rows
        self.runs = []

    def run(self, tensors):
        count = tensors[0].shape[0]
        self.runs.append(count)
        if count > self.rows:
            raise RuntimeError(f"[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : {CUDA}")
        return (tensors[0] * 2,)


def batch(count):
    return (np.arange(count).reshape(count, 1),)


def test_the_first_failure_halves_the_batch_and_the_caller_has_the_answer():
    device = Device(rows=4)
    within = WithinMemory(device.run, 8)
    (found,) = within.run(batch(8))
    assert found.ravel().tolist() == [0, 2, 4, 6, 8, 10, 12, 14]
    assert (device.runs, within.limit, within.exhausted) == ([8, 4, 4], 4, False)


def test_later_batches_are_parted_without_trying_the_whole_again():
    device = Device(rows=4)
    within = WithinMemory(device.run, 8)
    within.run(batch(8))
    device.runs.clear()
    (found,) = within.run(batch(7))
    assert device.runs == [4, 3]
    assert found.shape == (7, 1)


def test_the_second_failure_gives_the_device_up_without_another_run():
    device = Device(rows=4)
    within = WithinMemory(device.run, 8)
    within.run(batch(8))
    device.rows = 2
    with pytest.raises(ModelFailedError, match="memory is exhausted"):
        within.run(batch(4))
    device.runs.clear()
    with pytest.raises(ModelFailedError, match="memory is exhausted"):
        within.run(batch(1))
    assert within.exhausted
    assert device.runs == []


def test_one_row_that_does_not_fit_gives_the_device_up():
    within = WithinMemory(Device(rows=0).run, 8)
    with pytest.raises(ModelFailedError):
        within.run(batch(1))
    assert within.exhausted


def test_any_other_failure_is_the_batch_s_own():
    def broken(tensors):
        raise ValueError("the indices are out of bounds")

    within = WithinMemory(broken, 8)
    with pytest.raises(ValueError, match="out of bounds"):
        within.run(batch(8))
    assert (within.limit, within.exhausted) == (8, False)


@pytest.mark.parametrize(
    "text",
    [
        CUDA,
        "CUDA failure 2: out of memory ; GPU=0",
        "bfc_arena.cc:376 void* onnxruntime::BFCArena::AllocateRawInternal",
        "CUDNN_STATUS_ALLOC_FAILED",
    ],
)
def test_onnx_runtime_s_words_for_it_are_known(text):
    assert out_of_memory(RuntimeError(text))
