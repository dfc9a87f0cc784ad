"""Frees the batch axis of a model that was exported for a batch of fixed size."""

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import helper, numpy_helper

from slipstream_builder import sessions
from slipstream_builder.arrays import Array
from slipstream_builder.errors import SourceError

_BATCH = "batch"
_SHAPED_BY = {"Reshape": 1, "Expand": 1, "Resize": 3, "ConstantOfShape": 0}
_RECURRENT = ("LSTM", "GRU", "RNN")
_OF_CONSTANTS = ("Expand", "ConstantOfShape")
_NAME = "slipstream_batch"
_SERVED = [int(helper.np_dtype_to_tensor_dtype(np.dtype(kind))) for _, kind in sessions.DTYPES.values()]


def fixed_batch(model: onnx.ModelProto) -> int | None:
    """Return the size that the first axis of the inputs is fixed to, or None where it is free.

    Raises:
        SourceError: there is no input or output, one is no tensor or has no first axis, or the sizes differ.
    """
    values = _data_inputs(model)
    if not values or not model.graph.output:
        raise SourceError("model: it has no inputs or no outputs; export it again")
    for value in [*values, *model.graph.output]:
        _require_batch_axis(value)
    first = [value.type.tensor_type.shape.dim[0] for value in values if value.type.tensor_type.shape.dim]
    sizes = {dim.dim_value for dim in first if dim.HasField("dim_value")}
    if len(sizes) > 1:
        raise SourceError(
            f"model: the first axes of its inputs are fixed to different sizes ({sorted(sizes)}), so none is the "
            "batch; export it with the batch as first axis of every input (dynamic_shapes)"
        )
    if sizes == {0}:
        raise SourceError("model: its inputs are fixed to an empty batch; export it with an example of one row")
    return sizes.pop() if sizes else None


def free(model: onnx.ModelProto) -> None:
    """Make the first axis of every input and output of `model` symbolic, in place."""
    for value in [*_data_inputs(model), *model.graph.output]:
        shape = value.type.tensor_type.shape
        if shape.dim and not shape.dim[0].dim_param:
            shape.dim[0].dim_param = _BATCH
    # Shapes inferred for the old, fixed batch would contradict the free one.
    del model.graph.value_info[:]


def mends(model: onnx.ModelProto, fixed: int) -> Iterator[onnx.ModelProto]:
    """Yield copies of the freed `model` in which shapes that begin with `fixed` follow the batch; simplest first.

    Whether such a size was the batch cannot be told from the graph, so the caller runs each copy and compares.
    """
    for shapes_from_input in (False, True):
        twin = onnx.ModelProto()
        twin.CopyFrom(model)
        if _Mender(twin, fixed, shapes_from_input).mend():
            yield twin


class _Mender:
    """Rewrites one model in place."""

    def __init__(self, model: onnx.ModelProto, fixed: int, shapes_from_input: bool) -> None:
        self.graph, self.fixed, self.shapes_from_input = model.graph, fixed, shapes_from_input
        self.constants = _small_constants(model.graph)
        self.batched = _reached_from_inputs(model)
        self.first_input = _data_inputs(model)[0].name
        self.ahead: list[onnx.NodeProto] = []
        self.made = 0

    def mend(self) -> bool:
        """Rewrite what can be; return whether anything was."""
        nodes = list(self.graph.node)
        for node in nodes:
            if node.op_type in _SHAPED_BY:
                self._mend_shape(node, _SHAPED_BY[node.op_type])
            elif node.op_type == "Concat":
                self._mend_concat(node)
            elif node.op_type in _RECURRENT:
                self._drop_first_states(node)
        del self.graph.node[:]
        self.graph.node.extend([*self.ahead, *nodes])
        return self.made > 0

    def _mend_shape(self, node: onnx.NodeProto, place: int) -> None:
        if len(node.input) <= place or node.input[place] not in self.constants:
            return
        shape = self.constants[node.input[place]]
        if shape.ndim != 1 or not len(shape) or shape.dtype != np.int64 or shape[0] != self.fixed:
            return
        if node.op_type not in _OF_CONSTANTS and node.input[0] not in self.batched:
            return
        zero_is_zero = any(attribute.name == "allowzero" and attribute.i for attribute in node.attribute)
        if node.op_type == "Reshape" and not self.shapes_from_input and not zero_is_zero:
            rest = [int(size) for size in shape[1:]]
            node.input[place] = self._constant(np.array([0 if -1 in rest else -1, *rest]))
        else:
            node.input[place] = self._shape_of_batch(shape[1:])

    def _mend_concat(self, node: onnx.NodeProto) -> None:
        """Repeat a constant row (a class token, an initial state) for every row of the batch it is joined to."""
        if not any(name in self.batched for name in node.input):
            return
        (axis,) = (attribute.i for attribute in node.attribute if attribute.name == "axis")
        for place, name in enumerate(node.input):
            array = self.constants.get(name)
            if array is None or array.ndim < 2 or axis % array.ndim == 0 or len(array) != self.fixed:
                continue
            if not (array == array[:1]).all():
                continue
            repeated = f"{_NAME}_{self.made}_rows"
            row, shape = self._constant(array[:1]), self._shape_of_batch(np.array(array.shape[1:]))
            self.ahead.append(helper.make_node("Expand", [row, shape], [repeated], name=repeated))
            node.input[place] = repeated

    def _drop_first_states(self, node: onnx.NodeProto) -> None:
        """Leave out first states of zeros, [directions, batch, hidden]: without them they are zeros of any batch."""
        for place in range(5, min(7, len(node.input))):
            state = self.constants.get(node.input[place])
            if state is not None and not state.any():
                node.input[place] = ""
                self.made += 1

    def _shape_of_batch(self, rest: Array) -> str:
        if not self.ahead:
            indices = self._constant(np.array([0]))
            self.ahead.append(helper.make_node("Shape", [self.first_input], [f"{_NAME}_shape"], name=f"{_NAME}_shape"))
            self.ahead.append(helper.make_node("Gather", [f"{_NAME}_shape", indices], [_NAME], name=_NAME))
        if not len(rest):
            return _NAME
        tail = self._constant(rest.astype(np.int64))
        joined = f"{tail}_joined"
        self.ahead.append(helper.make_node("Concat", [_NAME, tail], [joined], name=joined, axis=0))
        return joined

    def _constant(self, array: Array) -> str:
        self.made += 1
        name = f"{_NAME}_{self.made}"
        self.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name


def _data_inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    constants = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in constants]


def _require_batch_axis(value: onnx.ValueInfoProto) -> None:
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        words = {"sequence_type": "a sequence", "optional_type": "optional", "map_type": "a map"}.get(
            kind or "", "not a tensor"
        )
        raise SourceError(f"model: {value.name!r} is {words}; export with tensor inputs and outputs only")
    element = value.type.tensor_type.elem_type
    if element not in (onnx.TensorProto.UNDEFINED, *_SERVED):
        raise SourceError(
            f"model: {value.name!r} is {onnx.TensorProto.DataType.Name(element).lower()}; only tensors of numbers that "
            "numpy has are served: cast it in the model, or export it as float32 or float16"
        )
    if value.type.tensor_type.HasField("shape") and not value.type.tensor_type.shape.dim:
        raise SourceError(f"model: {value.name!r} is a scalar, without a batch axis; export it as [batch, ...]")


def _small_constants(graph: onnx.GraphProto) -> dict[str, Array]:
    """Return constants by name; large ones are weights, which no batch size is baked into."""
    found = {
        tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer if np.prod(tensor.dims) < 1 << 20
    }
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "value":
                found[node.output[0]] = numpy_helper.to_array(attribute.t)
            elif node.op_type == "Constant" and attribute.name == "value_ints":
                found[node.output[0]] = np.array(attribute.ints)
    return found


def _reached_from_inputs(model: onnx.ModelProto) -> set[str]:
    reached = {value.name for value in _data_inputs(model)}
    for node in model.graph.node:
        if any(name in reached for name in node.input):
            reached.update(node.output)
    return reached
