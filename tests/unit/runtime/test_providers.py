"""The provider asked for is the one that runs, or the replica does not start and says why."""

import importlib.metadata
from collections import Counter
from types import SimpleNamespace

import onnxruntime as ort
import pytest

from slipstream_runtime.errors import StartError
from slipstream_runtime.model.providers import PROVIDERS, check_placement, placement, require
from slipstream_testing.artifacts import mlp


def missing(name, reason):
    def load(library):
        if name in library:
            raise OSError(reason)

    return load


def graph(**nodes):
    return [
        SimpleNamespace(
            ep_name=PROVIDERS[name], get_nodes=lambda kinds=kinds: [SimpleNamespace(op_type=k) for k in kinds]
        )
        for name, kinds in nodes.items()
    ]


def session(providers, **nodes):
    names = [PROVIDERS[name] for name in providers]
    return SimpleNamespace(get_providers=lambda: names, get_provider_graph_assignment_info=lambda: graph(**nodes))


def test_the_cpu_needs_nothing():
    require("cpu", load=missing("", "never called"))


@pytest.mark.parametrize("name", ["cuda", "tensorrt"])
def test_an_onnx_runtime_without_the_provider_is_named_with_what_to_install(name):
    with pytest.raises(StartError, match=rf"--provider {name}: onnxruntime.* has no {PROVIDERS[name]}; pip .*\[gpu\]"):
        require(name, available=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    ("library", "reason", "words"),
    [
        ("libcuda.so", "libcuda.so.1: cannot open shared object file", "libcuda.so.1 is missing.*NVIDIA driver"),
        (
            "providers_cuda",
            "libcudart.so.13: cannot open shared object file",
            r"libcudart.so.13 is missing.*\[cuda,cudnn\]",
        ),
        ("providers_tensorrt", "libnvinfer.so.10: cannot open", "libnvinfer.so.10 is missing.*tensorrt-cu13<11"),
        (
            "providers_shared",
            "/a/b/libonnxruntime_providers_shared.so: gone",
            "libonnxruntime_providers_shared.so is missing",
        ),
    ],
)
def test_a_missing_library_is_named_with_what_to_do(library, reason, words):
    name = "tensorrt" if "tensorrt" in library else "cuda"
    with pytest.raises(StartError, match=f"--provider {name}: {words}"):
        require(name, missing(library, reason), available=[PROVIDERS[name]])


def test_two_onnx_runtimes_in_one_place_are_named_as_the_cause(monkeypatch):
    both = [SimpleNamespace(metadata={"Name": name}) for name in ("onnxruntime", "onnxruntime-gpu")]
    monkeypatch.setattr(importlib.metadata, "distributions", lambda: both)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.31.1")
    words = "onnxruntime 1.31.1 and onnxruntime-gpu 1.31.1 has no .* overwrite each other: uninstall both"
    with pytest.raises(StartError, match=words):
        require("cuda", available=["CPUExecutionProvider"])


def test_with_all_libraries_there_is_nothing_to_say():
    require("cuda", load=lambda library: None, available=[PROVIDERS["cuda"]])


def test_a_session_that_fell_back_is_refused():
    with pytest.raises(StartError, match=r"--provider cuda: a\.onnx: ONNX Runtime chose CPUExecutionProvider instead"):
        check_placement("cuda", session(["cpu"], cpu=["Gemm"]), "a.onnx")


def test_a_session_none_of_whose_nodes_landed_there_is_refused():
    nowhere = session(["cuda", "cpu"], cpu=["QLinearConv", "QLinearConv", "Relu"])
    with pytest.raises(
        StartError, match=r"none of its operators runs there .*CPUExecutionProvider has 3: 2 QLinearConv"
    ):
        check_placement("cuda", nowhere, "a.onnx")


def test_nodes_elsewhere_are_reported(caplog):
    check_placement("cuda", session(["cuda", "cpu"], cuda=["Gemm"], cpu=["Shape"]), "a.onnx")
    assert "a.onnx: not all operators run on cuda: CPUExecutionProvider has 1: 1 Shape" in caplog.text


def test_a_session_wholly_there_says_nothing(caplog):
    check_placement("cuda", session(["cuda", "cpu"], cuda=["Gemm", "Relu"]), "a.onnx")
    assert caplog.text == ""


def test_onnx_runtime_s_own_record_is_read():
    options = ort.SessionOptions()
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    found = ort.InferenceSession(mlp().proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    assert placement(found.get_provider_graph_assignment_info()) == {
        "CPUExecutionProvider": Counter({"Gemm": 2, "Relu": 1})
    }
