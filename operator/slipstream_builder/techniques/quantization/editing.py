"""Rewrites a graph node by node: new tensors get names nothing else has, and what nobody reads any more goes."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from slipstream_builder.arrays import Array
from slipstream_builder.techniques import graphs

MICROSOFT = "com.microsoft"


class Editor:
    """Collects the nodes and constants of a graph's new version, then puts them in the place of the old ones.

    Names are made from the names in the graph and a counter, so that the same model always becomes the same bytes.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = graphs.copied(model)
        self.constants = graphs.constants(self.model.graph)
        self._taken = set(_names(self.model.graph))
        self._nodes: list[onnx.NodeProto] = []
        self._added: list[onnx.TensorProto] = []

    def keep(self, node: onnx.NodeProto) -> None:
        """Take over `node` as it is."""
        self._nodes.append(node)

    def add(self, op_type: str, inputs: Iterable[str], output: str = "", domain: str = "", **attributes: Any) -> str:
        """Append a node with one output and return that output's name, made from the first input unless given."""
        inputs = list(inputs)
        output = output or self._fresh(f"{inputs[0]}/{op_type}")
        name = self._fresh(f"{output}/{op_type}/node")
        self._nodes.append(helper.make_node(op_type, inputs, [output], name=name, domain=domain, **attributes))
        return output

    def constant(self, array: Array, hint: str) -> str:
        """Add `array` as an initialiser and return its name, which begins with `hint`."""
        name = self._fresh(hint)
        self._added.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def finish(self) -> onnx.ModelProto:
        """Return the rewritten model, without the constants and inner shapes that nothing needs any more."""
        graph = self.model.graph
        del graph.node[:]
        graph.node.extend(self._nodes)
        graph.initializer.extend(self._added)
        drop_unread(graph)
        domains = {entry.domain for entry in self.model.opset_import}
        if MICROSOFT not in domains and any(node.domain == MICROSOFT for node in graph.node):
            self.model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
        return self.model

    def _fresh(self, hint: str) -> str:
        name, number = hint, 1
        while name in self._taken:
            number += 1
            name = f"{hint}_{number}"
        self._taken.add(name)
        return name


def drop_unread(graph: onnx.GraphProto) -> None:
    """Remove constants that nothing reads, and inner shapes, which the runtime infers again and which cost bytes."""
    read = set(_read(graph))
    _leave(graph.node, [node for node in graph.node if node.op_type != "Constant" or node.output[0] in read])
    dropped = {tensor.name for tensor in graph.initializer} - read
    _leave(graph.initializer, [tensor for tensor in graph.initializer if tensor.name not in dropped])
    _leave(graph.input, [value for value in graph.input if value.name not in dropped])
    del graph.value_info[:]


def _leave(field: Any, kept: list[Any]) -> None:
    if len(kept) < len(field):
        del field[:]
        field.extend(kept)


def _subgraphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield attribute.g


def _read(graph: onnx.GraphProto) -> Iterator[str]:
    """Yield every tensor that a node or an output reads, in subgraphs too: those see the tensors around them."""
    yield from (output.name for output in graph.output)
    for node in graph.node:
        yield from node.input
    for inner in _subgraphs(graph):
        yield from _read(inner)


def _names(graph: onnx.GraphProto) -> Iterator[str]:
    yield from (tensor.name for tensor in graph.initializer)
    yield from (value.name for value in graph.input)
    for node in graph.node:
        yield node.name
        yield from node.output
    for inner in _subgraphs(graph):
        yield from _names(inner)
