"""The log: one line a record, as text or JSON, no more of one kind than a person can read, and nothing of requests.

An exception is written as its type and where it came from: its message may quote what a caller sent.
"""

import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime

BURST = 5
"""Records of one kind in one window; the rest is counted and told with the next window's first."""

WINDOW_SECONDS = 10.0

OPERATOR = re.compile(r"running [A-Za-z0-9_]{1,100} node\. Name:'[^'\n]{0,200}'")

STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "suppressed"}


def configure(form: str) -> None:
    """Send the whole process's log to standard error, as `text` or `json`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    handler.addFilter(RateLimit(time.monotonic))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)


def cause(error: BaseException) -> str:
    """Return what may be told of an error of the session: its type, and the failed operator where it names one.

    What ONNX Runtime says after that may quote a tensor, such as an index that was out of bounds.
    """
    found = OPERATOR.search(str(error))
    return f"{type(error).__name__}, {found[0]}" if found else type(error).__name__


class RateLimit(logging.Filter):
    """Lets a few records of each kind through in each window; a kind is the place in the code that logs it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._windows: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write `record`."""
        key, now = (record.pathname, record.lineno), self._clock()
        begun, count = self._windows.get(key, (-WINDOW_SECONDS, 0))
        if now - begun < WINDOW_SECONDS:
            self._windows[key] = (begun, count + 1)
            return count < BURST
        self._windows[key] = (now, 1)
        record.suppressed = max(0, count - BURST)
        return True


class TextFormatter(logging.Formatter):
    """`slipstream-runtime: message`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return f"slipstream-runtime: {_message(record)}"


class JsonFormatter(logging.Formatter):
    """An object with `ts`, `level`, `logger`, `message`, and the record's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = {key: value for key, value in record.__dict__.items() if key not in STANDARD}
        line = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
            **fields,
        }
        return json.dumps(line, default=str)


def _message(record: logging.LogRecord) -> str:
    words = record.getMessage().replace("\n", " ").replace("\r", " ")
    if record.exc_info and record.exc_info[1] is not None:
        words = f"{words} ({_origin(record.exc_info[1])})"
    suppressed = getattr(record, "suppressed", 0)
    return f"{words} ({suppressed} more like this were left out)" if suppressed else words


def _origin(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    places = [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in reversed(frames)]
    return " < ".join((type(error).__name__, *places))
