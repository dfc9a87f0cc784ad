"""Parses the API's percentages, byte counts and processor counts, whose form the schema has already checked."""

import re
from fractions import Fraction

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?")
_UNITS: dict[str, Fraction | int] = {
    "m": Fraction(1, 1000), "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50,
}  # fmt: skip


def amount(quantity: str) -> Fraction | None:
    """Return a Kubernetes quantity such as "500m" or "64Mi" as a number, or None for what is none."""
    match = _QUANTITY.fullmatch(quantity)
    return Fraction(match[1]) * Fraction(_UNITS.get(match[2], 1)) if match else None


def parse_percentage(text: str) -> float:
    """Return "1%" as 0.01."""
    return float(Fraction(text.removesuffix("%")) / 100)


def parse_bytes(text: str) -> int:
    """Return "64Mi" as 67108864."""
    return int(amount(text) or 0)


def parse_processors(text: str) -> float:
    """Return "500m" as 0.5."""
    return float(amount(text) or 0)
