"""Reads a replica's Prometheus text. Replicas run users' models, so what they answer is treated as hostile."""

from slipstream_operator.scaling.samples import ReplicaSample


class ExpositionError(ValueError):
    """The text is not what a Slipstream replica answers; the message names the line and what is wrong with it."""


def parse(body: bytes, replica: str, at: float) -> ReplicaSample:
    """Return the sample in the text `body` that `replica` (pod UID) answered at the time `at` (seconds).

    Raises:
        ExpositionError: the text is too long, malformed, or not a replica's.
    """
    raise ExpositionError("not a replica's metrics")
