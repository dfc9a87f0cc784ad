"""How much the outputs depend on each channel that a layer reads: the diagonal Fisher information of gates.

Every input channel of every layer gets a gate of 1. The gradient of a gate, for one row, is what closing it would do
to that row's loss, to first order; the mean of its square is the second-order cost of closing it at the source's
optimum, where first-order terms vanish (Theis et al., arXiv 1801.05787). Targets are drawn from the model's own
predictions, so no labels are needed, and it holds when student and teacher still agree.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from slipstream_builder.arrays import Rows, count
from slipstream_builder.techniques.context import Task
from slipstream_builder.techniques.conversion.interpreter import Interpreter
from slipstream_builder.techniques.training.losses import is_distribution

READERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)

Gradients = dict[nn.Module, Tensor]


def gate_gradients(
    network: Interpreter, rows: Rows, size: int, task: Task, discrete: bool, generator: np.random.Generator
) -> Gradients:
    """Return, for every layer, the gradients [rows, input channels] of the gates before it, over `size` of the rows."""
    chosen = np.sort(generator.permutation(count(rows))[:size])
    drawing = torch.Generator().manual_seed(int(generator.integers(2**31)))
    gates: Gradients = {}

    def gated(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        (tensor,) = inputs
        axis = tensor.ndim - 1 if isinstance(layer, nn.Linear) else 1
        shape = [size if position in (0, axis) else 1 for position, size in enumerate(tensor.shape)]
        gates[layer] = torch.ones(shape, requires_grad=True)
        return (tensor * gates[layer],)

    hooks = [layer.register_forward_pre_hook(gated) for layer in network.modules() if isinstance(layer, READERS)]
    try:
        outputs = network(*(torch.from_numpy(rows[name][chosen]) for name in network.input_names))
    finally:
        for hook in hooks:
            hook.remove()
    surprise = _surprise([output for output in outputs if output.is_floating_point()], task, discrete, drawing)
    found = torch.autograd.grad(surprise, list(gates.values()), allow_unused=True)
    return {
        layer: torch.zeros_like(gate).flatten(1) if gradient is None else gradient.flatten(1)
        for (layer, gate), gradient in zip(gates.items(), found, strict=True)
    }


def _surprise(outputs: Sequence[Tensor], task: Task, discrete: bool, generator: torch.Generator) -> Tensor:
    """Return the sum over rows of the loss against targets drawn from the outputs themselves."""
    return torch.stack([_of_output(output, task, discrete, generator) for output in outputs]).sum()


def _of_output(output: Tensor, task: Task, discrete: bool, generator: torch.Generator) -> Tensor:
    values = task in ("regression", "embedding") or (task == "policy" and not discrete)
    if values or output.ndim < 2 or output.shape[-1] == 1:
        deviation = output.detach().std(correction=0).clamp(min=1e-6)
        return (output * torch.randn(output.shape, generator=generator)).sum() / deviation
    scores = output.clamp(min=1e-8).log() if is_distribution(output.detach()) else output
    likely = torch.log_softmax(scores, -1).flatten(0, -2)
    drawn = torch.multinomial(likely.detach().exp(), 1, generator=generator)
    return -likely.gather(-1, drawn).sum()
