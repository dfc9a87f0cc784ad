"""ndcg@10 over held-out films, as the gate will compute it: films of the history do not compete."""

import numpy as np
from data import Matrix

CUTOFF = 10


def ndcg(scores: Matrix, history: Matrix, held_out: Matrix) -> float:
    """Return the mean normalised discounted cumulative gain of the ten best films each user has not yet watched."""
    open_scores = np.where(history > 0, -np.inf, scores)
    best = np.argsort(-open_scores, axis=1, kind="stable")[:, :CUTOFF]
    discounts = 1.0 / np.log2(np.arange(CUTOFF) + 2.0)
    gain = (np.take_along_axis(held_out, best, axis=1) * discounts).sum(axis=1)
    relevant = np.minimum(held_out.sum(axis=1).astype(np.int64), CUTOFF)
    ideal = np.concatenate([[0.0], discounts.cumsum()])[relevant]
    return float((gain / ideal).mean())
