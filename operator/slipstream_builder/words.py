"""Numbers as people read them; pure."""


def size(count: int) -> str:
    """Return a number of bytes in decimal units."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count} B"


def duration(seconds: float) -> str:
    """Return a time with three significant digits."""
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"


def count(number: int) -> str:
    """Return a count with its thousands apart."""
    return f"{number:,}".replace(",", " ")


def change(drop: float) -> str:
    """Return a relative loss in words."""
    return f"{abs(drop):.2%} {'gained' if is_gain(drop) else 'lost'}"


def is_gain(drop: float) -> bool:
    """Return whether a relative loss is a gain that two digits of a percentage show."""
    return round(drop, 4) < 0


def percent(share: float) -> str:
    """Return a share as a percentage with two digits, without a minus before zero."""
    return f"{round(share, 4) + 0.0:.2%}"


def speed(before: float, after: float) -> str:
    """Return how much faster or slower `after` seconds are than `before`."""
    return f"{before / after:.1f}x faster" if after <= before else f"{after / before:.1f}x slower"
