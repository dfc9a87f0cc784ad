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
    return f"{drop:.2%} lost" if drop >= 0 else f"{-drop:.2%} gained"
