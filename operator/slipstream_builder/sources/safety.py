"""Says whether an ONNX file holds only what a build may touch: no external data, known operators, bounded size.

ONNX Runtime and onnx.load each miss some places where external data can hide (sparse tensors, hard links), so every
tensor of the file is visited here, in subgraphs and functions too.
"""

from collections.abc import Iterator, Sequence

import onnx

from slipstream_builder.errors import SourceError

DOMAINS = ("", "ai.onnx", "com.microsoft")
MIN_OPSET = 11
MAX_NODES = 100_000


def check(model: onnx.ModelProto, max_nodes: int = MAX_NODES) -> None:
    """Accept a model that a build may touch.

    Raises:
        SourceError: external data, an operator of an unknown domain, too old an opset, or too many nodes.
    """
    _check_opset(model)
    local = {(function.domain, function.name) for function in model.functions}
    for visited, node in enumerate(_nodes(model)):
        if visited >= max_nodes:
            raise SourceError(f"model: more than {max_nodes} nodes; export a smaller graph")
        if node.domain not in DOMAINS and (node.domain, node.op_type) not in local:
            raise SourceError(
                f"model: node {node.name!r} uses operator {node.domain}.{node.op_type}; only operators of "
                "ONNX and com.microsoft are allowed: export without custom operators"
            )
    for name, tensor in tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise SourceError(
                f"model: tensor {name!r} keeps its data in another file; save the model as one file, "
                "with onnx.save(model, path, save_as_external_data=False)"
            )


def tensors(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    """Yield every tensor of the model with its name: initialisers, sparse ones and attributes, however deep."""
    for graph in _graphs(model):
        yield from ((tensor.name, tensor) for tensor in graph.initializer)
        for sparse in graph.sparse_initializer:
            yield from _sparse(sparse)
    for node in _nodes(model):
        for attribute in node.attribute:
            yield from _attribute_tensors(attribute, node)


def _check_opset(model: onnx.ModelProto) -> None:
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if not versions:
        raise SourceError("model: no opset of the ONNX domain is declared; export it again")
    if min(versions) < MIN_OPSET:
        raise SourceError(f"model: opset {min(versions)} is too old; export with opset {MIN_OPSET} or later")


def _sparse(sparse: onnx.SparseTensorProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    yield sparse.values.name, sparse.values
    yield f"{sparse.values.name} (indices)", sparse.indices


def _attribute_tensors(attribute: onnx.AttributeProto, node: onnx.NodeProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    name = f"{node.name or node.op_type}.{attribute.name}"
    if attribute.HasField("t"):
        yield name, attribute.t
    yield from ((name, tensor) for tensor in attribute.tensors)
    sparse = [*attribute.sparse_tensors, *([attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else [])]
    for item in sparse:
        yield from ((f"{name}: {inner}", tensor) for inner, tensor in _sparse(item))


def _graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    waiting = [model.graph, *(info.initialization for info in model.training_info)]
    waiting += [info.algorithm for info in model.training_info]
    while waiting:
        graph = waiting.pop()
        yield graph
        waiting.extend(_subgraphs(graph.node))
    for function in model.functions:
        waiting.extend(_subgraphs(function.node))
        while waiting:
            graph = waiting.pop()
            yield graph
            waiting.extend(_subgraphs(graph.node))


def _subgraphs(nodes: Sequence[onnx.NodeProto]) -> Iterator[onnx.GraphProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield attribute.g
            yield from attribute.graphs


def _nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    for graph in _graphs(model):
        yield from graph.node
    for function in model.functions:
        yield from function.node
