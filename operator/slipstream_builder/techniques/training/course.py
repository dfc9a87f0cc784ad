"""How long to train: from the arithmetic that a step costs, never from a clock, so that the bytes come out the same."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from slipstream_builder.arrays import Rows, count
from slipstream_builder.techniques.conversion.interpreter import Interpreter

BATCHES = (128, 64, 32, 16)
SMALLEST_SET = 8
FEWEST_STEPS = 120
MOST_STEPS = 1000
OPERATIONS_BUDGET = 5e12
OPERATIONS_A_USE = 8.0
TRACED_ROWS = 2


@dataclass(frozen=True)
class Course:
    """`steps` batches of `batch` rows, at a learning rate that falls from `rate` along a cosine.

    `operations` is what they cost: floating-point operations, the teacher's among them.
    """

    steps: int
    batch: int
    rate: float
    operations: float


def course_for(network: Interpreter, rows: Rows) -> Course:
    """Return as many steps as the budget of floating-point operations allows, within 120 to 1000.

    A row costs about 8 operations a weight use: 2 in the teacher, 2 forward and 4 backward in the student. Models too
    large for 200 batches of 128 rows get smaller batches, down to 16; past that they take longer than the budget.
    Dense networks bear a higher rate than those with convolutions; transformers, a far lower one (measured on MiniLM,
    distance after 25 steps: 0.21 at 1e-4, 0.23 at 3e-5, 0.30 at 3e-4, where it began at 0.27).
    """
    row = OPERATIONS_A_USE * max(uses_a_row(network, rows), 1.0)
    affordable = [batch for batch in BATCHES if FEWEST_STEPS * batch * row <= OPERATIONS_BUDGET]
    batch = min((affordable or [BATCHES[-1]])[0], max(SMALLEST_SET, count(rows)))
    steps = min(max(int(OPERATIONS_BUDGET / (batch * row)), FEWEST_STEPS), MOST_STEPS)
    return Course(steps, batch, _rate(network), steps * batch * row)


def uses_a_row(network: Interpreter, rows: Rows) -> float:
    """Return the number of multiplications by weights for one of `rows`."""
    examples = [torch.from_numpy(rows[name][:TRACED_ROWS]) for name in network.input_names]
    return weight_uses(network, examples) / min(TRACED_ROWS, count(rows))


def weight_uses(network: Interpreter, inputs: Sequence[Tensor]) -> int:
    """Return the number of multiplications by weights in one forward pass over `inputs`."""
    total = 0

    def observe(layer: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        weight = layer.get_parameter("weight")
        total += output.numel() // weight.shape[0] * weight.numel()

    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    hooks = [layer.register_forward_hook(observe) for layer in network.modules() if isinstance(layer, kinds)]
    try:
        with torch.no_grad():
            network(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return total


def _rate(network: Interpreter) -> float:
    if any(isinstance(layer, nn.LayerNorm) for layer in network.layers):
        return 1e-4
    return 3e-3 if all(isinstance(layer, nn.Linear | nn.Embedding) for layer in network.layers) else 1e-3
