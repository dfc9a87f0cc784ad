"""Graphs that are none."""

import numpy as np
import onnx
from onnx import helper

from slipstream_testing.bad_models.networks import branches, network, relu
from slipstream_testing.bad_models.registry import bad


@bad("not valid ONNX")
def circle() -> onnx.ModelProto:
    return network(helper.make_node("Add", ["x", "b"], ["a"]), relu("a", "b"), relu("b", "y"))


@bad("not valid ONNX")
def name_given_twice() -> onnx.ModelProto:
    return network(relu(), relu())


@bad("not valid ONNX")
def input_from_nowhere() -> onnx.ModelProto:
    return network(helper.make_node("Add", ["x", "ghost"], ["y"]))


@bad("model: ")
def output_of_nothing() -> onnx.ModelProto:
    return network(relu("x", "z"))


@bad("no inputs or no outputs")
def no_outputs() -> onnx.ModelProto:
    made = network(relu())
    del made.graph.output[:]
    return made


@bad("no inputs or no outputs")
def no_inputs() -> onnx.ModelProto:
    made = network(relu("w", "y"), weights={"w": np.zeros((1, 16))})
    del made.graph.input[:]
    return made


@bad("nest more than")
def subgraphs_nested_twelve_deep() -> onnx.ModelProto:
    inner = helper.make_graph([relu("x", "z")], "inner", [], [])
    for _ in range(12):
        inner = helper.make_graph([helper.make_node("If", ["yes"], ["z"], then_branch=inner)], "inner", [], [])
    return network(relu(), branches(inner))


@bad("more than 100000 nodes")
def too_many_nodes() -> onnx.ModelProto:
    made = network(relu())
    made.graph.node.extend([relu("x", "z")] * 100_000)
    return made


@bad("text of more than 1 MiB")
def huge_text() -> onnx.ModelProto:
    return network(relu(note="a" * (2 << 20)))


@bad("characters")
def huge_name() -> onnx.ModelProto:
    return network(relu("x", "y" * 5000), relu())
