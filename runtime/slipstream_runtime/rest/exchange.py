"""One request on a connection, and its answer. Pages make these: a subclass for each kind of request."""

from typing import Protocol

from mypy_extensions import mypyc_attr

from slipstream_runtime.errors import ServingError
from slipstream_runtime.rest.head import NO_HEAD, Head
from slipstream_runtime.rest.responses import error_rest

FAILED = "the replica failed on this request"


class Line(Protocol):
    """What an exchange needs of its connection."""

    def answer(self, exchange: "Exchange", code: int, rest: bytes) -> None:
        """Send the answer when its turn has come."""
        ...


@mypyc_attr(allow_interpreted_subclasses=True)
class Exchange:
    """A request that waits for its answer; `line` is None once it is answered or its caller has gone.

    The batcher asks nothing else, so that an exchange never touches a connection's later requests.
    """

    __slots__ = ("close", "code", "head", "line", "rest")

    def __init__(self, line: Line, head: Head) -> None:
        self.line: Line | None = line
        self.head = head
        self.close = False
        """Whether the connection must end after this answer."""
        self.code = 0
        self.rest = b""
        """The answer while it waits for those before it."""

    def refusal(self) -> ServingError | None:
        """Return why the body need not be read, asked when it is not all here yet."""
        return None

    def receive(self, body: bytes) -> None:
        """Begin to answer; called once, with the whole body."""
        raise NotImplementedError

    def lost(self) -> None:
        """Take note that the caller has gone."""

    def done(self) -> bool:
        """Return whether the caller has its answer or has gone."""
        return self.line is None

    def finish(self, code: int, rest: bytes) -> None:
        """Hand over the answer: its status code, and what follows the first lines."""
        line = self.line
        if line is not None:
            self.line = None
            line.answer(self, code, rest)

    def fail(self, error: ServingError) -> None:
        """Hand over an error."""
        self.finish(error.code, error_rest(error))


class Refused(Exchange):
    """What HTTP itself refuses: what follows on its connection cannot be told apart any more."""

    __slots__ = ()

    def __init__(self, line: Line) -> None:
        super().__init__(line, NO_HEAD)

    def receive(self, body: bytes) -> None:
        """Nothing is read."""
