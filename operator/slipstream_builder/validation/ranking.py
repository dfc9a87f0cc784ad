"""Scores of rankings, one an item; pure.

NDCG is the discounted cumulative gain over that of the best possible ranking (Jaervelin and Kekaelaeinen 2002), with
the gain itself in the numerator and log2(rank + 1) below it.
"""

import numpy as np

from slipstream_builder.arrays import Array, Scores

_CELLS = 4_000_000


def ndcg(output: Array, labels: Array, ignore: Array | None, k: int) -> Scores:
    """Return NDCG@K with binary relevance for an output [items, n]; labels and ignore [items, m], padded with -1."""
    relevant = _marks(labels, output.shape[1])
    best = top(_without(output, ignore), k)
    gains = np.take_along_axis(relevant, best, axis=1)
    discounts = _discounts(best.shape[1])
    ideal = np.cumsum(discounts)[np.minimum(relevant.sum(axis=1), best.shape[1]) - 1]
    return np.asarray((gains * discounts).sum(axis=1) / ideal, dtype=np.float64)


def hits(output: Array, labels: Array, ignore: Array | None, k: int) -> Scores:
    """Return 1 where a relevant output is among the best K that compete, else 0."""
    relevant = _marks(labels, output.shape[1])
    found = np.take_along_axis(relevant, top(_without(output, ignore), k), axis=1)
    return np.asarray(found.any(axis=1), dtype=np.float64)


def agreement(output: Array, wanted: Array) -> Scores:
    """Return NDCG@K of the order of `output` [items, n], graded by the source's own best K, `wanted` [items, K].

    The source's first is worth K, its second K - 1, and so on down to 1; what it ranks lower is worth nothing.
    """
    k = wanted.shape[1]
    worth = np.zeros(output.shape, dtype=np.float32)
    grades = np.arange(k, 0, -1)
    np.put_along_axis(worth, wanted, np.broadcast_to(grades, wanted.shape).astype(np.float32), axis=1)
    gains = np.take_along_axis(worth, top(output, k), axis=1).astype(np.float64)
    discounts = _discounts(k)
    return np.asarray((gains * discounts).sum(axis=1) / float((grades * discounts).sum()), dtype=np.float64)


def neighbors(output: Array, source: Array, k: int) -> Scores:
    """Return, for each item, NDCG@K of its nearest neighbours by the candidate, graded by the source's similarities.

    Every item ranks all others by cosine similarity of the embeddings [items, d]. The grade of a neighbour is its
    similarity to the item by the *source*, clipped at 0, so that a swap of near-ties, which no reader of the list would
    notice, costs nearly nothing, where a count of shared neighbours would call it a miss. The items are both queries
    and the pool that is searched: what is shown holds for new queries to this pool. Memory is bounded by working in
    blocks; an item with an embedding of zeros or NaN has no score.
    """
    candidate, original = _unit(output), _unit(source)
    items = len(candidate)
    k = min(k, items - 1)
    scores = np.empty(items)
    step = max(1, _CELLS // items)
    for start in range(0, items, step):
        rows = np.arange(start, min(start + step, items))
        worth = np.clip(original[rows] @ original.T, 0.0, None)
        worth[np.arange(len(rows)), rows] = 0.0
        found = candidate[rows] @ candidate.T
        found[np.arange(len(rows)), rows] = -np.inf
        scores[rows] = _graded(worth, top(found, k))
    scores[~np.isfinite(candidate).all(axis=1)] = np.nan
    return scores


def top(output: Array, k: int) -> Array:
    """Return the indices of the `k` largest of each row, best first."""
    k = min(k, output.shape[1])
    part = np.argpartition(-output, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(output, part, axis=1), axis=1, kind="stable")
    return np.take_along_axis(part, order, axis=1)


def _graded(worth: Array, best: Array) -> Scores:
    discounts = _discounts(best.shape[1])
    gained = (np.take_along_axis(worth, best, axis=1) * discounts).sum(axis=1)
    ideal = (np.take_along_axis(worth, top(worth, best.shape[1]), axis=1) * discounts).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(gained / ideal, dtype=np.float64)


def _unit(embeddings: Array) -> Array:
    """Return the embeddings with length 1, in float32; NaN where there is no direction."""
    wide = embeddings.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True), dtype=np.float32)


def _discounts(k: int) -> Scores:
    return np.asarray(1.0 / np.log2(np.arange(2, k + 2)), dtype=np.float64)


def _marks(indices: Array, width: int) -> Array:
    marks = np.zeros((len(indices), width + 1), dtype=bool)
    np.put_along_axis(marks, np.where(indices < 0, width, indices), True, axis=1)
    return marks[:, :width]


def _without(output: Array, ignore: Array | None) -> Array:
    return output if ignore is None else np.where(_marks(ignore, output.shape[1]), -np.inf, output)
