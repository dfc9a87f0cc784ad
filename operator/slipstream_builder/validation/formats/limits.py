"""How much a data set may unpack to, and the words for one that is more."""

from slipstream_builder.errors import ValidationError

MAX_BYTES = 2 << 30
MAX_ARRAYS = 256
MAX_NAME = 256


def check_bytes(total: int, what: str, most: int) -> None:
    """Accept a data set whose arrays take `total` bytes in memory.

    Raises:
        ValidationError: that is more than `most`.
    """
    if total > most:
        limit = f"{most >> 20} MiB" if most >= 1 << 20 else f"{most} bytes"
        raise ValidationError(f"{what}: unpacks to more than {limit}; use fewer items")


def check_names(names: list[str], what: str) -> None:
    """Accept the names of a data set's arrays.

    Raises:
        ValidationError: there are none, too many, two alike, or one is too long to be an input's name.
    """
    if not names:
        raise ValidationError(f"{what}: it holds no arrays; give one for every input of the model")
    if len(names) > MAX_ARRAYS:
        raise ValidationError(f"{what}: it holds {len(names)} arrays, more than {MAX_ARRAYS}: keep the model's inputs")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValidationError(f"{what}: array {twice[:MAX_NAME]!r} is there twice; keep one")
    if long := [name for name in names if len(name) > MAX_NAME]:
        raise ValidationError(f"{what}: an array's name has {len(long[0])} characters; the most is {MAX_NAME}")


def line(error: BaseException) -> str:
    """Return the first line of a library's error, short enough for ours."""
    text = " ".join(str(error).split())
    return text[:160] or type(error).__name__
