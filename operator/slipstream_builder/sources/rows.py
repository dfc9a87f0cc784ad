"""Made-up rows for a model whose data is not known, and the check that a model treats the rows of a batch alike."""

import numpy as np

from slipstream_builder import sessions
from slipstream_builder.arrays import Array, Rows, take
from slipstream_builder.sources.agreement import difference, tolerance
from slipstream_builder.sources.wording import line, raise_if_out_of_memory
from slipstream_contract.manifest import TensorSpec

BATCHES = (1, 3, 8)
_FREE_AXIS = 8
_ALONE = (0, 2, 7)
_DYNAMIC = "export it with a dynamic first axis (dynamic_shapes)"


def synthetic_rows(inputs: tuple[TensorSpec, ...], items: int, seed: int) -> dict[str, Array]:
    """Return made-up rows for `inputs`: normal numbers, and 0 or 1 where the type is integer, which index any table.

    A mask is all ones, since a row that is masked whole has no answer; a type id is zero, since some tables hold one.
    """
    generator = np.random.default_rng(seed)
    rows = {}
    for spec in inputs:
        shape = (items, *(size if size > 0 else _FREE_AXIS for size in spec.shape[1:]))
        rows[spec.name] = _numbers(spec, shape, generator)
    return rows


def _numbers(spec: TensorSpec, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    dtype, name = sessions.numpy_dtype(spec), spec.name.lower()
    if np.issubdtype(dtype, np.floating):
        return generator.standard_normal(shape).astype(dtype)
    if "mask" in name:
        return np.ones(shape, dtype)
    if "type" in name:
        return np.zeros(shape, dtype)
    return generator.integers(0, 2, shape).astype(dtype)


def trouble(session: sessions.Session, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> str | None:
    """Return why `session` cannot serve batches, or None when batches of 1, 3 and 8 give each row its own answer."""
    rows = synthetic_rows(inputs, max(BATCHES), seed=0)
    results = {}
    for items in BATCHES:
        try:
            results[items] = sessions.run(session, take(rows, slice(0, items)))
        except Exception as error:  # noqa: BLE001  # ONNX Runtime raises a family of its own
            raise_if_out_of_memory(error)
            return f"it cannot run a batch of {items} ({line(error)}); {_DYNAMIC}"
        for spec, result in zip(outputs, results[items], strict=True):
            if result.ndim == 0 or len(result) != items:
                return (
                    f"output {spec.name!r} has shape {list(result.shape)} for a batch of {items}; its first axis must "
                    f"be the batch: {_DYNAMIC}"
                )
    return _mixing(session, rows, results)


def _mixing(session: sessions.Session, rows: Rows, results: dict[int, list[Array]]) -> str | None:
    for place in _ALONE:
        alone = sessions.run(session, take(rows, slice(place, place + 1)))
        for items in BATCHES:
            if place >= items:
                continue
            together = [output[place : place + 1] for output in results[items]]
            found = difference(alone, together)
            if found > tolerance(alone):
                return (
                    f"row {place} of a batch of {items} gets another answer than alone (they differ by {found:.2g}), "
                    "so requests could not share a batch; export it in evaluation mode, with every operation row by "
                    "row and a dynamic first axis (dynamic_shapes)"
                )
    return None
