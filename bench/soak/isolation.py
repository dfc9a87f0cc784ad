"""Whether hostile batchmates move a row's result: each row among copies of itself, and again among them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.soak.models import FEATURES, INTEGERS, mixed
from slipstream_runtime.batching.execution import Outcome, run_batch
from slipstream_runtime.model.session import Session
from slipstream_runtime.protocol.signature import Signature, Tensors

SIZES = (2, 3, 8, 17, 32)
FLOATS = np.array([1e30, -1e30, 3.4e38, -3.4e38, 1e-45, -1e-45, 1e-38, 0.0, -0.0, 1e4], np.float32)
INTS = np.array([2**63 - 1, -(2**63), 2**31, -(2**31) - 1, 0, -1, 2**53 + 1], np.int64)


@dataclass
class Isolation:
    """What the pairs showed; `moved` rows differed in at least one bit, or were failed by a batchmate."""

    pairs: int = 0
    moved: int = 0


def measure_isolation(pairs: int, seed: int) -> Isolation:
    """Run `pairs` pairs through the runtime's own way of running a batch, over several sizes and places in it.

    Kernels of another batch size may round otherwise, with honest batchmates too, so both have one size.
    """
    model = mixed()
    session = Session(model.proto.SerializeToString(), Signature(model.inputs, model.outputs), 1, "mixed.onnx")
    random, found = np.random.default_rng(seed), Isolation()
    while found.pairs < pairs:
        size = int(random.choice(SIZES))
        place = int(random.integers(size))
        row = _ordinary(random)
        batch = _hostile(random, size)
        batch[place] = row
        alone = run_batch(session.run, [row] * size, [1] * size, batched=True)[place]
        among = run_batch(session.run, batch, [1] * size, batched=True)[place]
        found.pairs += 1
        found.moved += not _same(alone, among)
    return found


def _ordinary(random: np.random.Generator) -> Tensors:
    return (
        random.normal(size=(1, FEATURES)).astype(np.float32),
        random.integers(-100, 100, (1, INTEGERS)).astype(np.int64),
    )


def _hostile(random: np.random.Generator, rows: int) -> list[Tensors]:
    floats, integers = random.choice(FLOATS, (rows, 1, FEATURES)), random.choice(INTS, (rows, 1, INTEGERS))
    return list(zip(floats, integers, strict=True))


def _same(alone: Outcome, among: Outcome) -> bool:
    if isinstance(alone, Exception) or isinstance(among, Exception):
        return False
    return all(_bits(a) == _bits(b) for a, b in zip(alone, among, strict=True))


def _bits(array: NDArray[np.generic]) -> bytes:
    return np.ascontiguousarray(array).tobytes()
