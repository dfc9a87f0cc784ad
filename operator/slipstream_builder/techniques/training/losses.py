"""What a student must match of its teacher, and of the labels where there are any, by task.

Distillation by softened distributions: Hinton, Vinyals and Dean (arXiv 1503.02531); the factor T^2 keeps the
gradient's size independent of the temperature.
"""

import torch
from torch import Tensor
from torch.nn import functional

from slipstream_builder.techniques.context import Task

CLASSIFICATION_TEMPERATURE = 2.0
SIMILARITY_TEMPERATURE = 0.1
SMALLEST_PROBABILITY = 1e-8
SMALLEST_VARIANCE = 1e-12


def distillation_loss(student: Tensor, teacher: Tensor, task: Task, discrete: bool = True) -> Tensor:
    """Return the distance of two float outputs of one shape [items, ...], a scalar, 0 when they agree.

    Ranking, and policies whose actions are `discrete`: KL divergence of the softmax over the last axis, which weighs
    the top of the list as a reader does. Classification: the same, softened by a temperature of 2. Embeddings:
    angles to the teacher's and to one another. Regression, continuous actions, and any single score an item: squared
    error in units of the teacher's variance.
    """
    if task == "embedding" and teacher.ndim >= 2:
        return embedding_distance(student, teacher)
    values = task == "regression" or (task == "policy" and not discrete)
    if values or teacher.ndim < 2 or teacher.shape[-1] == 1:
        return functional.mse_loss(student, teacher) / _variance(teacher)
    if is_distribution(teacher):
        student, teacher = _log(student), _log(teacher)
    return _divergence(student, teacher, CLASSIFICATION_TEMPERATURE if task == "classification" else 1.0)


def embedding_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Return 1 - cosine to the teacher's embeddings [items, ..., width], and how far apart the neighbourhoods are.

    The second part, for one embedding an item, is the KL divergence of the softmax over each item's similarities to
    the rest of the batch (Fang et al., arXiv 2101.04731): who is near whom is what searches look at.
    """
    mine, theirs = functional.normalize(student, dim=-1), functional.normalize(teacher, dim=-1)
    angles = 1.0 - (mine * theirs).sum(-1).mean()
    if teacher.ndim != 2 or len(teacher) < 3:
        return angles
    return angles + _divergence(_similarities(mine), _similarities(theirs), 1.0)


def label_loss(student: Tensor, teacher: Tensor, labels: Tensor, task: Task) -> Tensor:
    """Return the distance of the first output [items, ...] from the labels, a scalar.

    Classification: cross-entropy with labels [items] of classes, or of 0 and 1 for a single score. Ranking: the
    cross-entropy of a softmax over the list, with labels [items, m] of relevant positions, padded with -1 (Cao et
    al., ListNet, ICML 2007). Regression: squared error in units of the teacher's variance.

    Raises:
        ValueError: the labels do not fit the output or the task.
    """
    match task:
        case "ranking":
            return _listwise(_scores(student, teacher), labels.long())
        case "classification" if teacher.ndim == 2 and teacher.shape[-1] > 1:
            return functional.nll_loss(torch.log_softmax(_scores(student, teacher), -1), labels.reshape(-1).long())
        case "classification":
            return _binary(student.reshape(-1), teacher, labels.reshape(-1).to(student.dtype))
        case "regression":
            return functional.mse_loss(student, labels.reshape(student.shape).to(student.dtype)) / _variance(teacher)
    raise ValueError(f"labels are of no use to the task {task}")


def is_distribution(scores: Tensor) -> bool:
    """Say whether every row along the last axis is non-negative and sums to 1: probabilities, not logits."""
    total = scores.sum(-1)
    return bool((scores >= 0).all()) and bool(torch.allclose(total, torch.ones_like(total), atol=1e-3))


def _scores(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the student's logits: where the teacher gives probabilities, their logarithms."""
    return _log(student) if is_distribution(teacher) else student


def _listwise(scores: Tensor, labels: Tensor) -> Tensor:
    relevant = labels >= 0
    gains = torch.log_softmax(scores, -1).gather(-1, labels.clamp(min=0))
    share = relevant.sum(-1).clamp(min=1)
    return -((gains * relevant).sum(-1) / share).mean()


def _binary(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    if bool(((teacher >= 0) & (teacher <= 1)).all()):
        return functional.binary_cross_entropy(student.clamp(SMALLEST_PROBABILITY, 1.0 - 1e-6), labels)
    return functional.binary_cross_entropy_with_logits(student, labels)


def _similarities(unit: Tensor) -> Tensor:
    """Return [items, items - 1]: each item's cosine to all others, over the temperature."""
    count = len(unit)
    others = ~torch.eye(count, dtype=torch.bool)
    return (unit @ unit.T)[others].reshape(count, count - 1) / SIMILARITY_TEMPERATURE


def _variance(teacher: Tensor) -> Tensor:
    return teacher.var(correction=0).clamp(min=SMALLEST_VARIANCE)


def _log(probabilities: Tensor) -> Tensor:
    return probabilities.clamp(min=SMALLEST_PROBABILITY).log()


def _divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    predicted = functional.log_softmax(student / temperature, -1).flatten(0, -2)
    wanted = functional.log_softmax(teacher / temperature, -1).flatten(0, -2)
    return functional.kl_div(predicted, wanted, log_target=True, reduction="batchmean") * temperature**2
