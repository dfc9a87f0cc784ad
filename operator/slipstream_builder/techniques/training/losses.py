"""What a student must match of its teacher, by task. No labels anywhere.

Distillation by softened distributions: Hinton, Vinyals and Dean (arXiv 1503.02531); the factor T^2 keeps the
gradient's size independent of the temperature.
"""

import torch
from torch import Tensor
from torch.nn import functional

from slipstream_builder.techniques.context import Task

CLASSIFICATION_TEMPERATURE = 2.0
SMALLEST_PROBABILITY = 1e-8


def distillation_loss(student: Tensor, teacher: Tensor, task: Task) -> Tensor:
    """Return the distance of two float outputs of one shape [items, ...], a scalar, 0 when they agree.

    Ranking: KL divergence of the softmax over the last axis, which weighs the top of the list as a reader does.
    Classification: the same, softened by a temperature of 2. Regression, and any single score an item: squared error
    in units of the teacher's variance.
    """
    if task == "regression" or teacher.ndim < 2 or teacher.shape[-1] == 1:
        return functional.mse_loss(student, teacher) / teacher.var(correction=0).clamp(min=1e-12)
    if is_distribution(teacher):
        student, teacher = _log(student), _log(teacher)
    return _divergence(student, teacher, 1.0 if task == "ranking" else CLASSIFICATION_TEMPERATURE)


def is_distribution(scores: Tensor) -> bool:
    """Say whether every row along the last axis is non-negative and sums to 1: probabilities, not logits."""
    total = scores.sum(-1)
    return bool((scores >= 0).all()) and bool(torch.allclose(total, torch.ones_like(total), atol=1e-3))


def _log(probabilities: Tensor) -> Tensor:
    return probabilities.clamp(min=SMALLEST_PROBABILITY).log()


def _divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    predicted = functional.log_softmax(student / temperature, -1).flatten(0, -2)
    wanted = functional.log_softmax(teacher / temperature, -1).flatten(0, -2)
    return functional.kl_div(predicted, wanted, log_target=True, reduction="batchmean") * temperature**2
