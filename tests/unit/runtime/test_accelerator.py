"""What a GPU session is told; without a GPU, the CPU stands in for the device."""

import ctypes
import logging
import os

import numpy as np
import pytest

from slipstream_contract.manifest import TensorSpec
from slipstream_contract.serving import ServingOptions
from slipstream_runtime.errors import StartError
from slipstream_runtime.model import accelerator, cudart, tensorrt, variants
from slipstream_runtime.model.accelerator import Accelerator, cuda_options
from slipstream_runtime.model.session import Session
from slipstream_runtime.protocol.signature import Signature
from slipstream_testing.artifacts import mlp, write_artifact

GIB = 1 << 30


class FakeLibrary:
    """libcudart of an H200 with 8 GiB free."""

    def __init__(self, status=0):
        self.status = status
        self.pinned = {}

    def cudaMemGetInfo(self, free, total):  # noqa: N802
        free._obj.value, total._obj.value = 8 * GIB, 141 * GIB
        return self.status

    def cudaDeviceGetAttribute(self, value, attribute, device):  # noqa: N802
        value._obj.value = {75: 9, 76: 0}[attribute]
        return self.status

    def cudaHostRegister(self, address, size, flags):  # noqa: N802
        self.pinned[address.value] = size.value
        return self.status

    def cudaHostUnregister(self, address):  # noqa: N802
        del self.pinned[address.value]


@pytest.fixture
def library(monkeypatch):
    library = FakeLibrary()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    monkeypatch.setattr(accelerator, "require", lambda name: None)
    return library


def artifact(folder):
    manifest = write_artifact(folder / "artifact", mlp())
    return Signature(manifest.inputs, manifest.outputs), manifest.variants[0]


def found(name, folder, cap=32):
    signature, variant = artifact(folder)
    return accelerator.find(name, signature, variant, "ab" * 32, folder / "artifact", cap)


def test_memory_is_limited_to_what_is_free_less_a_margin():
    assert int(cuda_options(8 * GIB, fixed=True)["gpu_mem_limit"]) == 8 * GIB - int(0.8 * GIB)
    assert int(cuda_options(1 * GIB, fixed=True)["gpu_mem_limit"]) == GIB - (256 << 20)
    assert int(cuda_options(1000, fixed=True)["gpu_mem_limit"]) == 1


def test_nothing_computes_in_a_precision_the_gate_did_not_see(tmp_path):
    assert cuda_options(GIB, fixed=True)["use_tf32"] == "0"
    signature, variant = artifact(tmp_path)
    for techniques, flags in (
        (("graph optimisation",), "00"),
        (("float16 (fast)",), "10"),
        (("int8, calibrated",), "01"),
    ):
        made = variant.__class__(**variant.__dict__ | {"techniques": techniques})
        options = tensorrt.options(signature, made, 8, tmp_path)
        assert options["trt_fp16_enable"] + options["trt_int8_enable"] == flags


def test_cuda_tries_graphs_and_tensorrt_keeps_its_engines_beside_the_artifact(library, tmp_path):
    cuda, tensor = found("cuda", tmp_path), found("tensorrt", tmp_path)
    assert [name for name, _ in cuda.listed(graphs=True)] == ["CUDAExecutionProvider"]
    assert cuda.graphs
    assert cuda.listed(graphs=True)[0][1]["enable_cuda_graph"] == "1"
    assert "enable_cuda_graph" not in cuda.listed(graphs=False)[0][1]
    assert [name for name, _ in tensor.listed(graphs=False)] == ["TensorrtExecutionProvider", "CUDAExecutionProvider"]
    options = tensor.listed(graphs=False)[0][1]
    assert options["trt_engine_cache_path"].startswith(str(tmp_path))
    assert "sm9.0" in options["trt_engine_cache_path"]
    assert options["trt_profile_min_shapes"] == "features:1x8"
    assert options["trt_profile_max_shapes"] == "features:32x8"


def test_an_engine_s_folder_changes_with_all_that_makes_it_useless():
    base = ("a" * 64, "int8", "9.0", ("101601", "1.31.1"), 32)
    keys = {tensorrt.engine_key(*base)}
    for place, other in enumerate(("b" * 64, "int4", "8.9", ("101602", "1.31.1"), 64)):
        keys.add(tensorrt.engine_key(*base[:place], other, *base[place + 1 :]))
    assert len(keys) == 6
    assert "/" not in tensorrt.engine_key("a" * 64, "../x", "9.0", ("1", "2"), 1)


def test_engines_are_not_taken_from_a_folder_others_may_write(tmp_path):
    folder = tensorrt.engine_folder(tmp_path / "artifact", "key")
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    with pytest.raises(StartError, match="others may write there"):
        tensorrt.engine_folder(tmp_path / "artifact", "key")


def test_without_any_place_for_engines_the_replica_says_so(tmp_path):
    (tmp_path / f".slipstream-engines-{os.getuid()}").write_text("a file in the way")
    with pytest.raises(StartError, match="cannot be made for TensorRT's engines"):
        tensorrt.engine_folder(tmp_path / "artifact", "key")


def test_a_free_axis_is_refused_by_tensorrt_with_the_way_out(tmp_path):
    _, variant = artifact(tmp_path)
    free = Signature((TensorSpec("ids", "INT64", (-1, -1)),), (TensorSpec("y", "FP32", (-1, 4)),))
    with pytest.raises(StartError, match="input 'ids' has a free axis besides the batch; use --provider cuda"):
        tensorrt.options(free, variant, 8, tmp_path)


def test_a_machine_without_a_gpu_is_refused(library, tmp_path):
    library.status = 100
    with pytest.raises(StartError, match=r"no usable GPU .cudaMemGetInfo failed with CUDA error 100"):
        found("cuda", tmp_path)


def test_without_libcudart_the_gpu_is_refused(library, tmp_path, monkeypatch):
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(StartError, match=r"no usable GPU .libcudart is missing"):
        found("cuda", tmp_path)
    assert tensorrt.library_version() == "unknown"


def test_buffers_are_pinned_while_they_live(library):
    runtime, array = cudart.CudaRuntime(library), np.zeros(16, dtype=np.float32)
    runtime.pin(array)
    assert list(library.pinned.values()) == [64]
    del array
    assert library.pinned == {}


def test_a_buffer_that_cannot_be_pinned_is_used_as_it_is(library, caplog):
    library.status = 2
    cudart.CudaRuntime(library).pin(np.zeros(16, dtype=np.float32))
    assert "is not pinned (cudaHostRegister failed with CUDA error 2)" in caplog.text


class OnTheCpu(Accelerator):
    """An accelerator that asks ONNX Runtime for the CPU."""

    def listed(self, *, graphs):
        return [("CPUExecutionProvider", {})]


class WithoutGraphs(OnTheCpu):
    """One that cannot open the model with graphs."""

    def listed(self, *, graphs):
        return [("NoSuchProvider", {})] if graphs else super().listed(graphs=graphs)


def test_a_model_with_a_free_axis_runs_on_the_device_as_its_batches_come():
    model = mlp()
    free = Signature((TensorSpec("features", "FP32", (-1, -1)),), model.outputs)
    session = Session(model.proto.SerializeToString(), free, 1, "a.onnx", OnTheCpu("cpu", 8, (), False, "cpu"))
    (found,) = session.run((np.ones((3, 8), dtype=np.float32),))
    assert found.shape == (3, 3)
    assert not session.graphs


def test_a_variant_is_made_ready_on_the_device(monkeypatch, tmp_path):
    manifest = write_artifact(tmp_path, mlp())
    monkeypatch.setattr(variants, "require", lambda name: None)
    monkeypatch.setattr(accelerator, "find", lambda *rest: OnTheCpu("cpu", 8, (), False, "cpu"))
    models = variants.load_models(ServingOptions(str(tmp_path), "original", "tiny", provider="cuda", max_batch=8), 1)
    models.close()
    assert models.signature.inputs == manifest.inputs
    assert not models.exhausted
    assert set(models.current.session._runs._buffers) == {1, 2, 4, 8}


@pytest.mark.parametrize(
    ("kind", "graphs", "captured"), [(OnTheCpu, False, False), (OnTheCpu, True, True), (WithoutGraphs, True, False)]
)
def test_a_session_on_a_device_answers_as_on_the_cpu_with_graphs_or_without(kind, graphs, captured, caplog):
    caplog.set_level(logging.INFO)
    model = mlp()
    signature, content = Signature(model.inputs, model.outputs), model.proto.SerializeToString()
    device = kind("cpu", 8, (), graphs, device="cpu", pin=lambda array: None)
    session, plain = Session(content, signature, 1, "a.onnx", device), Session(content, signature, 1, "a.onnx")
    for count in (1, 2, 4, 8, 20):  # the largest is parted: the device's buffers hold 8 rows
        rows = np.random.default_rng(count).normal(size=(count, 8)).astype(np.float32)
        np.testing.assert_allclose(session.run((rows,))[0], plain.run((rows,))[0], rtol=1e-6)
    assert not session.exhausted
    assert session.graphs is captured
    assert ("a.onnx: runs without CUDA graphs" in caplog.text) is (graphs and not captured)
