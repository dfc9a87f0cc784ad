"""An ONNX graph as a trainable torch module, and the trained weights back in the graph.

The module walks the graph node by node, in the manner of an fx interpreter. Nodes with constant weights become torch
layers, every other float constant a parameter, the rest plain tensors. Nothing of the graph's structure is lost, so
the way back only exchanges constants: names, nodes and order stay, and no exporter comes between.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from slipstream_builder.arrays import Array
from slipstream_builder.errors import TechniqueError
from slipstream_builder.techniques import graphs
from slipstream_builder.techniques.conversion.layers import Layer, layer_of, linear
from slipstream_builder.techniques.conversion.operators import OPERATORS, REFUSED
from slipstream_builder.techniques.conversion.pooling import POOLING
from slipstream_builder.techniques.conversion.tensors import OPSET, OUTPUTS, Operator

LOWEST_OPSET = 11
Run = Callable[[Sequence[Tensor | None]], Tensor | tuple[Tensor, ...]]


@dataclass(frozen=True)
class Step:
    """One node: what to call, and the names of the tensors it reads and writes; the layer it is, where it is one."""

    op_type: str
    run: Run
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    layer: nn.Module | None = None


class Interpreter(nn.Module):
    """The graph of `model`, trainable; always in inference mode (no dropout, fixed batch statistics).

    Raises:
        TechniqueError: some operator, or its form, has no torch counterpart; the message names it.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__()
        graph = model.graph
        self._opset = graphs.opset(model)
        if self._opset < LOWEST_OPSET:
            raise TechniqueError(f"opset {self._opset} cannot be trained; export with {LOWEST_OPSET} or later")
        self.input_names = [value.name for value in graphs.data_inputs(graph)]
        self.output_names = [value.name for value in graph.output]
        self._constants = graphs.constants(graph)
        self._layers: list[Layer] = []
        self.layers = nn.ModuleList()
        self.loose = nn.ParameterDict()
        self._names: dict[str, str] = {}
        self.steps = self._steps(graph)
        self._fixed = self._hold(self.steps)
        self.eval()

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs in the graph's order, for the inputs in the graph's order."""
        values = self.values(*inputs)
        return tuple(values[name] for name in self.output_names)

    def values(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Return every tensor of the graph by name, for the inputs in the graph's order."""
        values: dict[str, Tensor] = dict(self._fixed)
        values.update({name: self.loose[key] for name, key in self._names.items()})
        values.update(zip(self.input_names, inputs, strict=True))
        for step in self.steps:
            result = step.run([values[name] if name else None for name in step.inputs])
            results = result if isinstance(result, tuple) else (result,)
            values.update(zip(step.outputs, results, strict=False))
        return values

    def weights(self) -> dict[str, Array]:
        """Return the present value of everything trainable, by the name of its constant in the graph.

        Raises:
            TechniqueError: layers that share a weight have parted.
        """
        found = {name: self.loose[key].detach().numpy() for name, key in self._names.items()}
        for layer in self._layers:
            for name, array in layer.weights().items():
                if name in found and not np.array_equal(found[name], array, equal_nan=True):
                    raise TechniqueError(f"the layers that share the weight {name} were changed apart")
                found[name] = array
        return found

    def _steps(self, graph: onnx.GraphProto) -> list[Step]:
        biases = graphs.fused_biases(graph, self._constants)
        absorbed = {add.output[0] for add in biases.values()}
        nodes = [node for node in graph.node if node.op_type != "Constant" and node.output[0] not in absorbed]
        return [self._step(node, biases.get(node.output[0])) for node in nodes]

    def _step(self, node: onnx.NodeProto, add: onnx.NodeProto | None) -> Step:
        try:
            layer = self._with_bias(node, add) if add is not None else layer_of(node, self._constants)
        except (ValueError, KeyError, IndexError) as error:
            raise TechniqueError(f"operator {node.op_type} ({node.name}) cannot be trained: {error}") from error
        if layer is not None:
            return self._layer_step(layer, node if add is None else add)
        operator = OPERATORS.get(node.op_type) or POOLING.get(node.op_type)
        if operator is None or node.domain not in graphs.STANDARD_DOMAINS:
            reason = REFUSED.get(node.op_type, "it has no torch counterpart")
            raise TechniqueError(f"operator {node.op_type} ({node.name}) cannot be trained: {reason}")
        return Step(node.op_type, _bound(operator, node, self._opset), tuple(node.input), tuple(node.output))

    def _with_bias(self, node: onnx.NodeProto, add: onnx.NodeProto) -> Layer:
        bias = next(name for name in add.input if name != node.output[0])
        homes = {"weight": node.input[1], "bias": bias}
        return linear(node.input[0], self._constants[node.input[1]], homes, self._constants[bias], swapped=True)

    def _layer_step(self, layer: Layer, node: onnx.NodeProto) -> Step:
        module = self._placed(layer)
        return Step(node.op_type, lambda inputs: module(inputs[0]), (layer.input,), (node.output[0],), module)

    def _placed(self, layer: Layer) -> nn.Module:
        """Return the layer's module; where another has the same weights, that one, or one tied to it.

        Raises:
            TechniqueError: the two hold them in different layouts, so no tensor can be both.
        """
        for other in self._layers:
            if layer.homes == other.homes and layer.transposed == other.transposed and layer.alike(other):
                return other.module
        for other in self._layers:
            for name, home in layer.homes.items():
                if home in other.homes.values():
                    _tie(layer, name, other)
        self._layers.append(layer)
        self.layers.append(layer.module)
        return layer.module

    def _hold(self, steps: Sequence[Step]) -> dict[str, Tensor]:
        """Make the float vectors still in use parameters; return the other constants as tensors."""
        fixed: dict[str, Tensor] = {}
        for name in sorted({name for step in steps for name in step.inputs} & set(self._constants)):
            array = self._constants[name]
            if array.dtype == np.float32 and array.size > 1:
                self._names[name] = f"loose{len(self._names)}"
                self.loose[self._names[name]] = nn.Parameter(torch.from_numpy(np.array(array)))
            else:
                fixed[name] = torch.from_numpy(np.array(array))
        return fixed


def written_back(model: onnx.ModelProto, weights: Mapping[str, Array]) -> onnx.ModelProto:
    """Return `model` with `weights` in place of its constants of those names; stale inner shapes are dropped."""
    changed = graphs.copied(model)
    _regroup_depthwise(changed.graph, weights)
    graphs.replace_constants(changed.graph, weights)
    del changed.graph.value_info[:]
    return changed


def _regroup_depthwise(graph: onnx.GraphProto, weights: Mapping[str, Array]) -> None:
    """A depthwise convolution has as many groups as channels, so the attribute follows its weight's first axis."""
    held = graphs.constants(graph)
    for node in graph.node:
        if node.op_type != "Conv" or node.input[1] not in weights:
            continue
        for attribute in node.attribute:
            if attribute.name == "group" and attribute.i == held[node.input[1]].shape[0]:
                attribute.i = weights[node.input[1]].shape[0]


def _tie(layer: Layer, name: str, other: Layer) -> None:
    theirs = next(key for key, home in other.homes.items() if home == layer.homes[name])
    if (name in layer.transposed) != (theirs in other.transposed):
        raise TechniqueError(f"the weight {layer.homes[name]} is shared by layers that read it in different layouts")
    holder = other.module.get_submodule(other.holder)
    setattr(layer.module.get_submodule(layer.holder), name, getattr(holder, theirs))


def _bound(operator: Operator, node: onnx.NodeProto, opset: int) -> Run:
    given = {**graphs.attributes(node), OPSET: opset, OUTPUTS: len(node.output)}
    return lambda inputs: operator(inputs, given)
