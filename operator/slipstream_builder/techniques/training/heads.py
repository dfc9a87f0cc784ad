"""Which attention heads of a converted model can go, and their removal.

Whole heads leave the projections of queries, keys and values and the reader of their result (Michel et al., arXiv
1905.10650). Where heads lie is read from the graph and then proved: a model without a head must answer as one whose
output projection ignores it; an attention of any other make is left alone.
"""

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from slipstream_builder.techniques.conversion.interpreter import Interpreter, Step
from slipstream_builder.techniques.training.importance import Gradients

TOLERANCE = 1e-4
PASSING = frozenset({"Reshape", "Transpose", "Identity"})


@dataclass(frozen=True)
class Attention:
    """The projections of one attention, by their positions among the network's layers, and its heads' layout.

    The outputs of each of `sources` are one or more times `heads` x `width` (queries, keys and values, apart or in
    one), and so, once, are the inputs of `output`.
    """

    sources: tuple[int, ...]
    output: int
    heads: int
    width: int

    def remaining(self, network: Interpreter) -> int:
        """Return how many heads there still are."""
        return _linear(network, self.output).in_features // self.width

    def remove(self, network: Interpreter, heads: Sequence[int]) -> None:
        """Take the `heads` at these present positions out of the network."""
        before = self.remaining(network)
        kept = [head for head in range(before) if head not in set(heads)]
        lanes = torch.tensor([head * self.width + lane for head in kept for lane in range(self.width)])
        for source in self.sources:
            _keep_outputs(_linear(network, source), lanes, before * self.width)
        reader = _linear(network, self.output)
        reader.weight = nn.Parameter(reader.weight.detach()[:, lanes].clone())
        reader.in_features = len(lanes)

    def silence(self, network: Interpreter, head: int) -> None:
        """Have the output projection ignore a head."""
        with torch.no_grad():
            _linear(network, self.output).weight[:, head * self.width : (head + 1) * self.width] = 0.0

    def weakest(self, network: Interpreter, gradients: Gradients, number: int) -> list[int]:
        """Return the `number` heads that the outputs depend on the least."""
        lanes = gradients[_linear(network, self.output)]
        scores = lanes.reshape(-1, self.remaining(network), self.width).sum(2).square().mean(0)
        return torch.argsort(scores, stable=True)[:number].tolist()

    def layers(self, network: Interpreter) -> set[nn.Module]:
        """Return all its projections."""
        return {_linear(network, position) for position in (*self.sources, self.output)}


def attentions(network: Interpreter, examples: Sequence[Tensor]) -> list[Attention]:
    """Return the attentions that the graph seems to hold."""
    with torch.no_grad():
        shapes = {name: tensor.shape for name, tensor in network.values(*examples).items()}
    made = {name: step for step in network.steps for name in step.outputs}
    found = [_attention(network, step, made, shapes) for step in network.steps if isinstance(step.layer, nn.Linear)]
    return [attention for attention in found if attention is not None]


def _attention(
    network: Interpreter, reader: Step, made: Mapping[str, Step], shapes: Mapping[str, torch.Size]
) -> Attention | None:
    """Return the attention whose result `reader` projects: Linear <- Reshape <- Transpose <- MatMul of activations."""
    product = _product(reader, made)
    if product is None or not isinstance(reader.layer, nn.Linear):
        return None
    shape, lanes = shapes[product.outputs[0]], reader.layer.in_features
    sources = _sources(product, made)
    if len(shape) != 4 or shape[1] * shape[3] != lanes or shape[1] < 2 or not sources:
        return None
    if any(not isinstance(layer, nn.Linear) or layer.out_features % lanes for layer in sources):
        return None
    positions = list(network.layers)
    places = tuple(sorted(positions.index(layer) for layer in sources))
    return Attention(places, positions.index(reader.layer), shape[1], shape[3])


def _product(reader: Step, made: Mapping[str, Step]) -> Step | None:
    step, passed = made.get(reader.inputs[0]), 0
    while step is not None and step.op_type in PASSING:
        step, passed = made.get(step.inputs[0]), passed + 1
    return step if passed and step is not None and step.op_type == "MatMul" and step.layer is None else None


def _sources(product: Step, made: Mapping[str, Step]) -> set[nn.Module]:
    """Return the layers nearest before the product, along every path."""
    waiting, seen, found = list(product.inputs), set[str](), set[nn.Module]()
    while waiting:
        name = waiting.pop()
        step = made.get(name)
        if name in seen or step is None:
            continue
        seen.add(name)
        if step.layer is None:
            waiting.extend(step.inputs)
        else:
            found.add(step.layer)
    return found


def has_free_heads(attention: Attention, convert: Callable[[], Interpreter], examples: Sequence[Tensor]) -> bool:
    """Say whether a model without its first head answers as one that ignores it; `convert` gives a fresh copy."""
    gc.collect()  # earlier trials' copies lie about in cycles
    without, silent = convert(), convert()
    try:
        attention.remove(without, [0])
        attention.silence(silent, 0)
        with torch.no_grad():
            pairs = list(zip(without(*examples), silent(*examples), strict=True))
    except (RuntimeError, ValueError, IndexError):
        return False
    return all(
        one.shape == two.shape and torch.allclose(one, two, atol=TOLERANCE, rtol=TOLERANCE) for one, two in pairs
    )


def _linear(network: Interpreter, position: int) -> nn.Linear:
    layer = network.layers[position]
    if not isinstance(layer, nn.Linear):
        raise TypeError(f"layer {position} is no linear layer")
    return layer


def _keep_outputs(layer: nn.Linear, lanes: Tensor, width: int) -> None:
    """Keep `lanes` of every `width` outputs."""
    rows = torch.cat([lanes + start for start in range(0, layer.out_features, width)])
    layer.weight = nn.Parameter(layer.weight.detach()[rows].clone())
    if layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias.detach()[rows].clone())
    layer.out_features = len(rows)
