"""Data in other files, in every place that can name one."""

import onnx
from onnx import TensorProto, helper

from slipstream_testing.bad_models.networks import branches, calling, function, network, relu, with_weight
from slipstream_testing.bad_models.registry import bad

_ELSEWHERE = "keeps its data in another file"


def _external(name: str = "w") -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    return tensor


def _sparse(tensor: TensorProto) -> onnx.SparseTensorProto:
    return onnx.SparseTensorProto(values=tensor, indices=helper.make_tensor("i", TensorProto.INT64, [1], [0]), dims=[1])


@bad(_ELSEWHERE)
def external_weight() -> onnx.ModelProto:
    return with_weight(_external())


@bad(_ELSEWHERE)
def external_weight_marked_as_inline() -> onnx.ModelProto:
    tensor = _external()
    tensor.data_location = TensorProto.DEFAULT
    return with_weight(tensor)


@bad(_ELSEWHERE)
def external_memory_address() -> onnx.ModelProto:
    tensor = _external()
    tensor.external_data[0].value = "*/_ORT_MEM_ADDR_/*"
    return with_weight(tensor)


@bad(_ELSEWHERE)
def external_sparse_weight() -> onnx.ModelProto:
    made = network(relu())
    made.graph.sparse_initializer.append(_sparse(_external()))
    return made


@bad(_ELSEWHERE)
def external_sparse_indices() -> onnx.ModelProto:
    sparse = _sparse(helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0]))
    sparse.indices.CopyFrom(_external())
    made = network(relu())
    made.graph.sparse_initializer.append(sparse)
    return made


@bad(_ELSEWHERE)
def external_attribute() -> onnx.ModelProto:
    return network(relu(), helper.make_node("Constant", [], ["c"], value=_external()))


@bad(_ELSEWHERE)
def external_attribute_in_a_list() -> onnx.ModelProto:
    node = relu()
    node.attribute.append(onnx.AttributeProto(name="t", type=onnx.AttributeProto.TENSORS, tensors=[_external()]))
    return network(node)


@bad(_ELSEWHERE)
def external_in_a_subgraph() -> onnx.ModelProto:
    inner = helper.make_graph([relu("w", "z")], "inner", [], [], [_external()])
    return network(relu(), branches(inner))


@bad(_ELSEWHERE)
def external_in_a_function() -> onnx.ModelProto:
    return calling(function("F", helper.make_node("Constant", [], ["c"], value=_external()), relu("a", "b")))


@bad(_ELSEWHERE)
def external_in_a_functions_default() -> onnx.ModelProto:
    made = function("F", relu("a", "b"))
    made.attribute_proto.append(onnx.AttributeProto(name="t", type=onnx.AttributeProto.TENSOR, t=_external()))
    return calling(made)


@bad(_ELSEWHERE)
def external_in_training_information() -> onnx.ModelProto:
    made = network(relu())
    made.training_info.add().algorithm.initializer.append(_external())
    return made
