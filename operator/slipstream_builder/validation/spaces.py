"""Translates between an environment's spaces and a model's arrays, and refuses what cannot be translated; pure."""

from typing import Any

import numpy as np
from gymnasium import spaces

from slipstream_builder import sessions
from slipstream_builder.arrays import Array
from slipstream_builder.errors import ValidationError
from slipstream_contract.manifest import TensorSpec

_OBSERVATIONS = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
_WRAP = "wrap it in an environment of your own and name that as module:Id-v0"


def check(
    observed: spaces.Space[Any], acted: spaces.Space[Any], inputs: tuple[TensorSpec, ...], output: TensorSpec, what: str
) -> None:
    """Accept spaces that fit a model with one input and a first output that says what to do.

    Discrete actions take an output [items, n], of which the largest counts; Box actions an output of their own shape.

    Raises:
        ValidationError: they do not fit, in words that begin with `what`.
    """
    if len(inputs) != 1:
        raise ValidationError(f"{what}: an observation is one array, but the model has {len(inputs)} inputs; {_WRAP}")
    _check_observations(observed, inputs[0], what)
    _check_actions(acted, output, what)


def stack(observations: list[Any], spec: TensorSpec) -> Array:
    """Return observations as a batch of the model's input `spec`."""
    batch = np.asarray(observations).astype(sessions.numpy_dtype(spec), copy=False)
    return batch.reshape(len(observations), 1) if batch.ndim == 1 and len(spec.shape) == 2 else batch


def actions(space: spaces.Space[Any], output: Array, what: str) -> list[Any]:
    """Return an action for each row of the model's first output; finite rows only.

    Raises:
        ValidationError: the output has not the shape that the actions need.
    """
    if isinstance(space, spaces.Discrete):
        if output.ndim != 2 or output.shape[1] != space.n:
            raise ValidationError(_misfit(f"{space.n} actions", ("items", int(space.n)), output.shape, what))
        return [int(action) for action in output.argmax(axis=1) + space.start]
    if not isinstance(space, spaces.Box):
        raise ValidationError(f"{what}: its actions are {space}; {_WRAP}")
    if output[0].size != int(np.prod(space.shape)):
        raise ValidationError(_misfit("actions", ("items", *space.shape), output.shape, what))
    shaped = output.reshape(len(output), *space.shape)
    if space.dtype.kind in "iu":
        shaped = np.rint(shaped)
    return list(np.clip(shaped, space.low, space.high).astype(space.dtype))


def _check_observations(space: spaces.Space[Any], spec: TensorSpec, what: str) -> None:
    if not isinstance(space, _OBSERVATIONS):
        raise ValidationError(f"{what}: its observations are {type(space).__name__}, not one array of numbers; {_WRAP}")
    shape, wanted = space.shape or (), spec.shape[1:]
    scalar = shape == () and wanted in ((), (1,), (-1,))
    if not scalar and not (len(shape) == len(wanted) and all(w in (-1, s) for w, s in zip(wanted, shape, strict=True))):
        raise ValidationError(
            f"{what}: its observations have shape {list(shape)}, the model takes "
            f"[{', '.join(['items', *('any' if size < 0 else str(size) for size in wanted)])}]; {_WRAP}"
        )
    dtype = sessions.numpy_dtype(spec)
    if np.dtype(space.dtype).kind == "f" and dtype.kind != "f":
        raise ValidationError(f"{what}: its observations are {space.dtype}, the model takes {dtype}; {_WRAP}")
    if dtype.kind in "iu" and np.dtype(space.dtype).kind in "iu" and not np.can_cast(space.dtype, dtype):
        _check_fits(space, dtype, what)


def _check_fits(space: spaces.Space[Any], dtype: np.dtype[Any], what: str) -> None:
    limits = np.iinfo(dtype)
    if isinstance(space, spaces.Discrete):
        low, high = int(space.start), int(space.start + space.n) - 1
    elif isinstance(space, spaces.Box):
        low, high = int(space.low.min(initial=0)), int(space.high.max(initial=0))
    else:
        low, high = 0, int(np.max(getattr(space, "nvec", 2))) - 1
    if low < limits.min or high > limits.max:
        raise ValidationError(
            f"{what}: its observations go from {low} to {high}, which the model's {dtype} cannot hold; {_WRAP}"
        )


def _check_actions(space: spaces.Space[Any], output: TensorSpec, what: str) -> None:
    sizes = output.shape[1:]
    if isinstance(space, spaces.Discrete):
        if len(sizes) != 1 or sizes[0] not in (-1, int(space.n)):
            raise ValidationError(_misfit(f"{space.n} actions", ("items", int(space.n)), output.shape, what))
    elif isinstance(space, spaces.Box):
        if -1 not in sizes and int(np.prod(sizes)) != int(np.prod(space.shape)):
            raise ValidationError(_misfit("actions", ("items", *space.shape), output.shape, what))
    else:
        raise ValidationError(f"{what}: its actions are {type(space).__name__}, not Discrete or Box; {_WRAP}")


def _misfit(actions_in_words: str, wanted: tuple[object, ...], found: tuple[int, ...], what: str) -> str:
    shapes = [", ".join(map(str, shape)) for shape in (wanted, ("items", *found[1:]))]
    return f"{what}: its {actions_in_words} need a first output [{shapes[0]}], the model's is [{shapes[1]}]; {_WRAP}"
