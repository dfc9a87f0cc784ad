"""The protocol's JSON messages as msgspec types, and their parsing. Pure."""

import re
from typing import Any, TypeVar

import msgspec

from slipstream_runtime.errors import BadRequestError
from slipstream_runtime.protocol.parameters import Parameter

Body = TypeVar("Body")

MAX_NAMES = 65_536
"""Names of members in one body, those of unknown members and parameters too; each takes up to 250 bytes for a moment.

The short way reads bodies of 256 KiB at most, which hold fewer.
"""

_STRING = rb'"((?:[^"\\]++|\\.)*+)"[ \t\r\n]*+'  # possessive, as long strings would otherwise take a lot of memory
_NAME = re.compile(_STRING + rb"(:?)", re.DOTALL)
_TOKEN = re.compile(_STRING + rb"(:?)|([{}])", re.DOTALL)


class InputTensor(msgspec.Struct):
    """One input as sent; `shape` and `data` are their JSON text, the latter empty when it was left out."""

    name: str
    shape: msgspec.Raw
    datatype: str
    data: msgspec.Raw = msgspec.Raw(b"")
    parameters: dict[str, Parameter] | None = None


class OutputTensor(msgspec.Struct):
    """One output as asked for."""

    name: str
    parameters: dict[str, Parameter] | None = None


class InferMessage(msgspec.Struct):
    """A whole request."""

    inputs: list[InputTensor]
    id: str | None = None
    parameters: dict[str, Parameter] | None = None
    outputs: list[OutputTensor] | None = None


INFER = msgspec.json.Decoder(InferMessage)
SHAPE = msgspec.json.Decoder(tuple[int, ...])
NAMED = msgspec.json.Decoder(dict[str, msgspec.Raw])


def parse(decoder: "msgspec.json.Decoder[Body]", body: bytes) -> Body:
    """Return the JSON document in `body`.

    Raises:
        BadRequestError: it is not JSON, not the kind of document that `decoder` expects, or has too many names.
    """
    _refuse_many_names(body)
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise BadRequestError(f"body: {error}") from error
    except RecursionError as error:
        raise BadRequestError("body: nested too deeply") from error
    except UnicodeDecodeError as error:
        raise BadRequestError("body: not valid UTF-8") from error
    except msgspec.DecodeError as error:
        raise BadRequestError(f"body: not JSON; {error}") from error


def _refuse_many_names(body: bytes) -> None:
    """Raise BadRequestError when `body`, which may be no JSON, would take much memory for the names of its members."""
    if body.count(b":") <= MAX_NAMES:
        return
    names = 0
    for string in _NAME.finditer(body):
        names += string.end(2) > string.start(2)
        if names > MAX_NAMES:
            raise BadRequestError(f"body: has more than {MAX_NAMES} names of members; send fewer")


def members(message: InferMessage) -> int:
    """Return how many members the objects of `message` have at least: one colon of its JSON text each."""
    count = 1 + optional_members(message)
    for tensor in message.inputs:
        count += 3 + bool(tensor.data)
        if tensor.parameters is not None:
            count += 1 + len(tensor.parameters)
    return count


def optional_members(message: Any) -> int:
    """Return how many members of `message` lie outside its inputs."""
    count = int(message.id is not None)
    if message.parameters is not None:
        count += 1 + len(message.parameters)
    if message.outputs is not None:
        count += 1
        for output in message.outputs:
            count += 1 if output.parameters is None else 2 + len(output.parameters)
    return count


def refuse_duplicates(body: bytes) -> None:
    """Raise BadRequestError when an object in the valid JSON text `body` names a member twice.

    Parsers differ in which of the two they take, so that a proxy could check another request than the one served.
    """
    open_objects: list[set[bytes]] = []
    for token in _TOKEN.finditer(body):
        text, colon, brace = token.groups()
        if brace == b"{":
            open_objects.append(set())
        elif brace == b"}":
            open_objects.pop()
        elif colon:
            name = _unescaped(text)
            if name in open_objects[-1]:
                raise BadRequestError(f"body: {name[:80].decode(errors='replace')!r} is given twice in one object")
            open_objects[-1].add(name)


def _unescaped(text: bytes) -> bytes:
    return msgspec.json.decode(b'"%b"' % text, type=str).encode() if b"\\" in text else text
