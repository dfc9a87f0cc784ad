"""Walks every part of an ONNX file that can hold data or code: subgraphs, functions, training graphs, attributes."""

from collections.abc import Iterator, Sequence

import onnx


def graphs(model: onnx.ModelProto) -> Iterator[tuple[onnx.GraphProto, int]]:
    """Yield every graph of the model with its depth (0 for the model's own), without recursion."""
    waiting = [(model.graph, 0)]
    waiting += [(graph, 0) for info in model.training_info for graph in (info.initialization, info.algorithm)]
    for function in model.functions:
        waiting += [(graph, 1) for graph in _subgraphs(function.node)]
        waiting += [(graph, 1) for attribute in function.attribute_proto for graph in _graphs_of(attribute)]
    while waiting:
        graph, depth = waiting.pop()
        yield graph, depth
        waiting.extend((inner, depth + 1) for inner in _subgraphs(graph.node))


def nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Yield every node of the model, those of subgraphs and functions too."""
    for graph, _ in graphs(model):
        yield from graph.node
    for function in model.functions:
        yield from function.node


def nodes_in(sequence: Sequence[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Yield the nodes in `sequence` and those of their subgraphs."""
    waiting = [sequence]
    while waiting:
        for node in waiting.pop():
            yield node
            waiting.extend(graph.node for graph in _subgraphs([node]))


def attributes(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.AttributeProto]]:
    """Yield every attribute with a name for it, of functions' defaults too."""
    for node in nodes(model):
        yield from ((f"{node.name or node.op_type}.{attribute.name}", attribute) for attribute in node.attribute)
    for function in model.functions:
        yield from ((f"{function.name}.{attribute.name}", attribute) for attribute in function.attribute_proto)


def tensors(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    """Yield every tensor of the model with its name: initialisers, sparse ones and attributes, however deep."""
    for graph, _ in graphs(model):
        yield from ((tensor.name, tensor) for tensor in graph.initializer)
        for sparse in graph.sparse_initializer:
            yield from _sparse(sparse)
    for name, attribute in attributes(model):
        yield from _attribute_tensors(attribute, name)


def _sparse(sparse: onnx.SparseTensorProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    yield sparse.values.name, sparse.values
    yield f"{sparse.values.name} (indices)", sparse.indices


def _attribute_tensors(attribute: onnx.AttributeProto, name: str) -> Iterator[tuple[str, onnx.TensorProto]]:
    if attribute.HasField("t"):
        yield name, attribute.t
    yield from ((name, tensor) for tensor in attribute.tensors)
    sparse = [*attribute.sparse_tensors, *([attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else [])]
    for item in sparse:
        yield from ((f"{name}: {inner}", tensor) for inner, tensor in _sparse(item))


def _subgraphs(sequence: Sequence[onnx.NodeProto]) -> Iterator[onnx.GraphProto]:
    for node in sequence:
        for attribute in node.attribute:
            yield from _graphs_of(attribute)


def _graphs_of(attribute: onnx.AttributeProto) -> Iterator[onnx.GraphProto]:
    if attribute.HasField("g"):
        yield attribute.g
    yield from attribute.graphs
