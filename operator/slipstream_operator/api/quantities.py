"""Parses the API's percentages, byte counts and processor counts, whose form the schema has already checked."""

from fractions import Fraction

_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def parse_percentage(text: str) -> float:
    """Return "1%" as 0.01."""
    return float(Fraction(text.removesuffix("%")) / 100)


def parse_bytes(text: str) -> int:
    """Return "64Mi" as 67108864."""
    unit = _UNITS.get(text[-2:])
    return int(text[:-2]) * unit if unit else int(text)


def parse_processors(text: str) -> float:
    """Return "500m" as 0.5."""
    return int(text[:-1]) / 1000 if text.endswith("m") else float(text)
