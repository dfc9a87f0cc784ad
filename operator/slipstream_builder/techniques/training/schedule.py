"""The cubic polynomial-decay schedule of pruning, and the rounding of channel counts that hardware likes.

Schedule: Zhu and Gupta, "To prune, or not to prune" (arXiv 1710.01878), equation 1. It prunes fast while there is
much redundancy and slowly towards the end: half way, only an eighth of the way is left.
"""

COARSE = 16
FINE = 8


def sparsity(step: float, begin: float, end: float, final: float, initial: float = 0.0) -> float:
    """Return the fraction (0 to 1) to have pruned at `step`: `initial` up to `begin`, `final` from `end` on.

    s(t) = s_f + (s_i - s_f) (1 - (t - t0) / (t1 - t0))^3

    Raises:
        ValueError: `end` does not lie after `begin`, or a fraction lies outside 0 to 1.
    """
    if end <= begin:
        raise ValueError(f"the schedule ends at step {end}, not after its begin at {begin}")
    if not (0.0 <= initial <= 1.0 and 0.0 <= final <= 1.0):
        raise ValueError(f"fractions lie between 0 and 1, not {initial} and {final}")
    done = min(max((step - begin) / (end - begin), 0.0), 1.0)
    return final + (initial - final) * (1.0 - done) ** 3


def kept_channels(channels: int, fraction: float) -> int:
    """Return how many of `channels` stay when `fraction` of them goes, in a multiple that fills vector registers.

    Multiples of 16, or of 8 in a layer too narrow for that; never none, and never more than there are. Counts that
    are no such multiple give no speed (60 of 64 channels run as slowly as 64).
    """
    multiple = multiple_of(channels)
    wanted = round(channels * (1.0 - fraction) / multiple) * multiple
    return min(channels, max(multiple, wanted))


def multiple_of(channels: int) -> int:
    """Return the multiple to round a layer of `channels` to: 16, 8 below 64 channels, 1 below 16."""
    if channels >= 4 * COARSE:
        return COARSE
    return FINE if channels >= 2 * FINE else 1
