"""What libraries' errors mean, in one line."""

_NO_MEMORY = (
    "bad_alloc",
    "bfc_arena",
    "allocate memory",
    "Failed to allocate",
    "Unable to allocate",
    "not enough memory",
    "out of memory",
)
_LONGEST = 240


def line(error: Exception) -> str:
    """Return what `error` says as one short line."""
    text = " ".join(str(error).split())
    return text[:_LONGEST] or type(error).__name__


def raise_if_out_of_memory(error: Exception) -> None:
    """Return, unless `error` is a library's way to say that there is no memory left.

    Raises:
        MemoryError: it is.
    """
    if any(words in str(error) for words in _NO_MEMORY):
        raise MemoryError(line(error)) from error
