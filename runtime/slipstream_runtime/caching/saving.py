"""What a hit saves, from the spans that the telemetry adds up anyway. Pure."""

from slipstream_runtime.observing.telemetry import Histogram, Telemetry


class RecentMean:
    """The mean of what a histogram took in since it was last asked; its last mean while nothing came."""

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._total = 0.0
        self._count = 0
        self._mean: float | None = None

    def __call__(self) -> float | None:
        """Return the mean, None before anything was counted."""
        total, count = self._histogram.total, self._histogram.count
        if count > self._count:
            self._mean = (total - self._total) / (count - self._count)
        self._total, self._count = total, count
        return self._mean


class ComputeShare:
    """The session's seconds that one request takes: its share of the batch it was computed in."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._busy = 0.0
        self._count = 0
        self._share: float | None = None

    def __call__(self) -> float | None:
        """Return the share as of late, None before the first batch."""
        busy, count = self._telemetry.compute.total, self._telemetry.queue.count
        if count > self._count:
            self._share = (busy - self._busy) / (count - self._count)
        self._busy, self._count = busy, count
        return self._share


class WholeRequest:
    """The seconds of a request from decoding to encoding, which a kept response saves."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._share = ComputeShare(telemetry)
        self._decode = RecentMean(telemetry.decode)
        self._encode = RecentMean(telemetry.encode)

    def __call__(self) -> float | None:
        """Return the seconds as of late, None before the first batch."""
        share = self._share()
        if share is None:
            return None
        return share + (self._decode() or 0.0) + (self._encode() or 0.0)
