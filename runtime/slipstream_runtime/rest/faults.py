"""Requests that HTTP itself refuses, with the status code of each."""

from slipstream_runtime.errors import ServingError


class HttpError(ServingError):
    """A request that is refused for its HTTP, whatever its body asks; the connection cannot be used further."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def malformed(what: str) -> HttpError:
    """Return the refusal of bytes that are not HTTP/1.1."""
    return HttpError(400, f"HTTP: {what}; send well-formed HTTP/1.1")
