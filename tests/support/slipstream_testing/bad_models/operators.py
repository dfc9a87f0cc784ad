"""Operators, opsets and functions that no build may take."""

import onnx
from onnx import helper

from slipstream_testing.bad_models.networks import branches, calling, function, network, relu
from slipstream_testing.bad_models.registry import bad
from slipstream_testing.onnx_models import model


@bad("evil.example.Evil")
def custom_operator() -> onnx.ModelProto:
    nodes = [helper.make_node("Evil", ["x"], ["y"], domain="evil.example")]
    return model(nodes, {"x": ["N", 16]}, {"y": ["N", 16]}, domains=("evil.example",))


@bad("evil.example.Evil")
def custom_operator_in_a_subgraph() -> onnx.ModelProto:
    inner = helper.make_graph([helper.make_node("Evil", ["x"], ["z"], domain="evil.example")], "inner", [], [])
    return network(relu(), branches(inner))


@bad("evil.example.Evil")
def custom_operator_in_a_function() -> onnx.ModelProto:
    return calling(function("F", helper.make_node("Evil", ["a"], ["b"], domain="evil.example")))


@bad("loads compiled code")
def compiled_part() -> onnx.ModelProto:
    nodes = [helper.make_node("EPContext", ["x"], ["y"], domain="com.microsoft", ep_cache_context="/etc/passwd")]
    return model(nodes, {"x": ["N", 16]}, {"y": ["N", 16]}, domains=("com.microsoft",))


@bad("not valid ONNX")
def operator_that_does_not_exist() -> onnx.ModelProto:
    return network(helper.make_node("Frobnicate", ["x"], ["y"]))


@bad("opset 10 is too old")
def opset_10() -> onnx.ModelProto:
    return network(relu(), opset=10)


@bad("opset 999 is not known yet")
def opset_999() -> onnx.ModelProto:
    return network(relu(), opset=999)


@bad("no opset")
def no_opset() -> onnx.ModelProto:
    made = network(relu())
    del made.opset_import[:]
    return made


@bad("calls itself")
def function_that_calls_itself() -> onnx.ModelProto:
    return calling(function("F", helper.make_node("F", ["a"], ["b"], domain="local")))


@bad("calls itself")
def functions_that_call_each_other() -> onnx.ModelProto:
    first = function("F", helper.make_node("G", ["a"], ["b"], domain="local"))
    return calling(first, function("G", helper.make_node("F", ["a"], ["b"], domain="local")))


@bad("unfold to more than")
def functions_that_double_forty_times() -> onnx.ModelProto:
    functions = [
        function(
            f"F{level}",
            helper.make_node(f"F{level + 1}", ["a"], ["c"], domain="local"),
            helper.make_node(f"F{level + 1}", ["c"], ["b"], domain="local"),
        )
        for level in range(40)
    ]
    return calling(*functions, function("F40", relu("a", "b")))
