"""Says numbers as people do: the words and units of a decision's reason."""


def rate(value: float) -> str:
    """Return a rate such as `1,840 requests/s`."""
    return f"{number(value)} requests/s"


def number(value: float) -> str:
    """Return a number with the digits that matter: `1,840`, `83`, `8.3`, `0`."""
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.2g}"


def time(seconds: float) -> str:
    """Return a latency such as `50 ms` or `1.5 s`."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{number(seconds * 1000)} ms"


def span(seconds: float) -> str:
    """Return a duration in whole seconds, such as `12 s`."""
    return f"{seconds:.0f} s"


def percent(share: float) -> str:
    """Return a share (0 to 1) such as `12 %`, or `0.4 %` for a small one."""
    return f"{share * 100:.0f} %" if share >= 0.1 else f"{share * 100:.2g} %"


def replicas(count: int) -> str:
    """Return `1 replica`, `2 replicas`."""
    return f"{count:,} replica" if count == 1 else f"{count:,} replicas"


def change(current: int, count: int) -> str:
    """Return how the sentence begins: `2 -> 3` or `holding 3`."""
    return f"{current} -> {count}" if count != current else f"holding {count}"
