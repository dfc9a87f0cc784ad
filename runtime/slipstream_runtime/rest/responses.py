"""Writes answers: the head's first lines, which change once a second, and the rest, which is the page's own.

A page makes `rest` (content type, length, its own headers, the empty line, the body), and the connection puts the
status line, the date and what it says of itself before it. So an answer can be kept and sent again as it is.
"""

from email.utils import formatdate
from http import HTTPStatus

from slipstream_runtime.errors import OverloadedError, ServingError
from slipstream_runtime.protocol.errors import JSON_TYPE, error_body
from slipstream_runtime.rest.head import CLOSING, PERSISTENT, PERSISTENT_1_0

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
EMPTY_LINE = b"\r\n\r\n"

BUSY_RETRY_SECONDS = 1

_CONNECTION = {
    PERSISTENT: b"",
    CLOSING: b"connection: close\r\n",
    PERSISTENT_1_0: b"connection: keep-alive\r\n",
}


class Starts:
    """The first lines of answers, rendered once a second; `ok` is the common case, ready made."""

    def __init__(self, now: float) -> None:
        self._rendered: dict[tuple[int, int], bytes] = {}
        self._second = -1
        self.tick(now)

    def tick(self, now: float) -> None:
        """Take note of the time, seconds since 1970."""
        if int(now) != self._second:
            self._second = int(now)
            self._rendered.clear()
            self.ok = self.get(200, PERSISTENT)

    def get(self, code: int, mode: int) -> bytes:
        """Return status line, date and connection header; `mode` is a head's."""
        key = (code, mode)
        start = self._rendered.get(key)
        if start is None:
            date = formatdate(self._second, usegmt=True).encode()
            line = b"HTTP/1.1 %d %s\r\ndate: %s\r\n" % (code, _reason(code), date)
            start = self._rendered[key] = line + _CONNECTION[mode]
        return start


def rest(body: bytes, content_type: bytes, extra: bytes = b"") -> bytes:
    """Return what follows an answer's first lines; `extra` is whole header lines."""
    return b"content-type: %b\r\ncontent-length: %d\r\n%b\r\n%b" % (content_type, len(body), extra, body)


def error_rest(error: ServingError) -> bytes:
    """Return the protocol's error form."""
    return rest(error_body(str(error)), JSON_TYPE, _error_headers(error))


def without_body(answer: bytes) -> bytes:
    """Return the answer to HEAD: the same, without the body."""
    return answer[: answer.index(EMPTY_LINE) + len(EMPTY_LINE)]


def _error_headers(error: ServingError) -> bytes:
    if isinstance(error, OverloadedError):
        return b"retry-after: %d\r\n" % error.retry_after
    if error.code == 401:
        return b"www-authenticate: Bearer\r\n"
    if error.code == 405:
        return b"allow: POST\r\n"
    if error.code == 503:
        return b"retry-after: %d\r\n" % BUSY_RETRY_SECONDS
    return b""


def _reason(code: int) -> bytes:
    try:
        return HTTPStatus(code).phrase.encode()
    except ValueError:
        return b"Unknown"
