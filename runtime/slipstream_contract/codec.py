"""Turns the contract's frozen dataclasses into JSON and back; unknown, missing or mistyped fields are errors."""

import dataclasses
import functools
import hashlib
import json
import types
import typing
from typing import Any, TypeVar

from slipstream_contract.errors import ContractError

T = TypeVar("T")


def encode(value: object) -> Any:
    """Return `value`, built of dataclasses, tuples, dicts and scalars, as plain JSON types."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    return value


def canonical_json(value: object) -> bytes:
    """Return the one byte form of `value`: sorted keys, no spaces, finite numbers only."""
    return json.dumps(encode(value), sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def digest(value: object) -> str:
    """Return the SHA-256 of the canonical JSON of `value`, in lower-case hex."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def decode(cls: type[T], document: object, path: str = "") -> T:
    """Return `document` (plain JSON types) as an instance of the dataclass `cls`.

    Raises:
        ContractError: a field is unknown, missing or of another type; the message names it.
    """
    if not isinstance(document, dict):
        raise ContractError(f"{path or 'document'}: expected an object, found {type(document).__name__}")
    fields, hints = _form(cls)  # type: ignore[arg-type]
    unknown = sorted(set(document) - set(fields))
    if unknown:
        raise ContractError(f"{_join(path, unknown[0])}: unknown field; known fields are {', '.join(fields)}")
    values = {}
    for name, field in fields.items():
        if name in document:
            values[name] = _decode_value(hints[name], document[name], _join(path, name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ContractError(f"{_join(path, name)}: required field is missing")
    return cls(**values)


def decode_json(cls: type[T], text: str | bytes, origin: str) -> T:
    """Return the JSON `text` as an instance of `cls`; `origin` (a file name) starts every error message.

    Raises:
        ContractError: the text is not JSON or does not match the type.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ContractError(f"{origin}: not JSON ({error})") from error
    try:
        return decode(cls, document)
    except ContractError as error:
        raise ContractError(f"{origin}: {error}") from error


@functools.cache
def _form(cls: type[Any]) -> tuple[dict[str, dataclasses.Field[Any]], dict[str, Any]]:
    """Return the fields of a dataclass and their types by name; working the types out takes longer than decoding."""
    return {field.name: field for field in dataclasses.fields(cls)}, typing.get_type_hints(cls)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _decode_value(hint: Any, value: object, path: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _decode_optional(arguments, value, path)
    if origin is typing.Literal:
        return _expect(value in arguments, value, path, f"one of {', '.join(map(repr, arguments))}")
    if origin is tuple:
        return _decode_tuple(arguments, value, path)
    if origin is dict:
        _expect(isinstance(value, dict), value, path, "an object")
        return {key: _decode_value(arguments[1], item, _join(path, key)) for key, item in value.items()}  # type: ignore[attr-defined]
    if dataclasses.is_dataclass(hint):
        return decode(hint, value, path)  # type: ignore[arg-type]
    return _decode_scalar(hint, value, path)


def _decode_optional(arguments: tuple[Any, ...], value: object, path: str) -> Any:
    if value is None and type(None) in arguments:
        return None
    (inner,) = [argument for argument in arguments if argument is not type(None)]
    return _decode_value(inner, value, path)


def _decode_tuple(arguments: tuple[Any, ...], value: object, path: str) -> tuple[Any, ...]:
    _expect(isinstance(value, list), value, path, "a list")
    items = typing.cast("list[object]", value)
    if arguments[-1] is Ellipsis:
        return tuple(_decode_value(arguments[0], item, f"{path}[{i}]") for i, item in enumerate(items))
    _expect(len(items) == len(arguments), value, path, f"a list of {len(arguments)} items")
    pairs = zip(arguments, items, strict=True)
    return tuple(_decode_value(hint, item, f"{path}[{i}]") for i, (hint, item) in enumerate(pairs))


def _decode_scalar(hint: Any, value: object, path: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    matches = isinstance(value, hint) and not (hint is int and isinstance(value, bool))
    return _expect(matches, value, path, f"a {hint.__name__}")


def _expect(holds: bool, value: object, path: str, wanted: str) -> Any:
    if not holds:
        raise ContractError(f"{path}: expected {wanted}, found {value!r:.80}")
    return value
