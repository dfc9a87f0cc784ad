"""Lets only harmless text of a torch.export program through to torch, which evaluates some of it as Python.

Reading a program's JSON is not safe by itself: torch hands size expressions to sympy's `eval`, guards to `exec`, node
names to generated source, operator names to `getattr`, and the classes of containers to `import`. So every string is
matched against what an honest export can hold, and what is not needed (traces, guards) is dropped.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from slipstream_builder.errors import SourceError

_MAX_DEPTH = 64
_MAX_TEXT = 4096
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_NAME = re.compile(r"|[A-Za-z_]\w*", re.ASCII)
_DOTTED = re.compile(r"|\w+(\.\w+)*", re.ASCII)
_VERSION = re.compile(r"[\w.+<=-]{0,64}", re.ASCII)
_NUMBER = re.compile(r"-?Infinity|NaN", re.ASCII)

_DROPPED: dict[str, Any] = {"metadata": {}, "treespec_namedtuple_fields": {}, "guards_code": []}
_DIALECTS = ("", "ATEN", "TRAINING")

_SYMBOL = r"(?:s|u|zs|zu|zf|zuf)\d+"
_FUNCTIONS = (
    "Symbol Integer Rational Float Add Mul Pow Equality Unequality StrictLessThan LessThan StrictGreaterThan "
    "GreaterThan integer positive nonnegative negative nonzero real finite precision "
    "FloorDiv ModularIndexing Where PythonMod Mod CleanDiv CeilToInt FloorToInt CeilDiv FloatTrueDiv IntTrueDiv "
    "TruncToFloat TruncToInt RoundToInt RoundDecimal ToFloat Identity Max Min Abs Eq Ne Le Lt Ge Gt And Or Not floor "
    "ceiling True False true false int_oo oo"
)
_EXPRESSION = re.compile(
    rf"(?:{_SYMBOL}\b|(?:{'|'.join(_FUNCTIONS.split())})\b|\d{{1,19}}(?:\.\d{{1,19}})?(?![\w.])"
    rf"|\*\*\s?[23](?![\w.])|\*(?!\*)|//|[<>=!]=|[-+/(),<>&|~=]|\s|'(?:{_SYMBOL}|-?[\d.]{{1,40}})')+",
    re.ASCII,
)
_OPERATOR = re.compile(
    r"torch\.ops\.(aten|prims)\.(?!_*(?:from_file|save|load|pickle)\b)(?:(?!__)\w+|__(?:and|or|xor|lshift|rshift)__)"
    r"\.(?!_)\w+"
    r"|torch\.ops\.higher_order\.(cond|scan|while_loop|wrap_with_set_grad_enabled|wrap_with_autocast)"
    r"|_operator\.(eq|ne|le|ge|lt|gt|neg|pos|mul|add|sub|floordiv|mod|pow|truediv|and_|or_|lshift|rshift|getitem)"
    r"|math\.(trunc|floor|ceil)|torch\.(_?sym_sqrt|sym_(not|int|float|ite|max|min|sum))",
    re.ASCII,
)
_CONTAINERS = ("builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict")


def vetted(document: Any) -> dict[str, Any]:
    """Return the program's JSON with nothing in it that torch would run, import or look up beyond its operators.

    Raises:
        SourceError: a text in it is none that torch.export writes, or needs a class or operator outside torch's own.
    """
    if not isinstance(document, dict):
        raise SourceError("model: its program is not a JSON object; export it again with torch.export.save")
    clean: dict[str, Any] = _object(document, 0)
    return clean


def operators(document: Any) -> set[str]:
    """Return every operator of ATen and prims that a vetted program names."""
    found: set[str] = set()
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            found.update(value[key] for key in ("target", "as_operator") if isinstance(value.get(key), str))
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return {name for name in found if name.startswith(("torch.ops.aten.", "torch.ops.prims."))}


def _value(value: Any, key: str, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise SourceError(f"model: its program nests more than {_MAX_DEPTH} deep; export it again")
    if isinstance(value, dict):
        return _object(value, depth + 1)
    if isinstance(value, list):
        return [_value(item, key, depth + 1) for item in value]
    if isinstance(value, str):
        return _text(value, key)
    return value


def _object(document: dict[str, Any], depth: int) -> dict[str, Any]:
    if set(document) == {"type", "index"}:
        # Where the program was exported (say, on a GPU) does not matter here.
        return {"type": "cpu", "index": None}
    clean = {}
    for key, value in document.items():
        _require(_IDENTIFIER, key, "a key")
        if key in ("as_custom_obj", "custom_obj"):
            raise SourceError("model: its program holds an object of a custom class; export it without one")
        clean[key] = _DROPPED[key] if key in _DROPPED else _value(value, key, depth)
    return clean


def _text(text: str, key: str) -> str:
    if len(text) > _MAX_TEXT and key not in ("in_spec", "out_spec"):
        raise SourceError(f"model: its program has a text of {len(text)} characters at {key!r}; export it again")
    check = _CHECKS.get(key)
    if check is None:
        _require(_NAME, text, key)
    else:
        check(text, key)
    return text


def _matches(pattern: re.Pattern[str]) -> Callable[[str, str], None]:
    return lambda text, key: _require(pattern, text, key)


def _require(pattern: re.Pattern[str], text: str, key: str) -> None:
    if not pattern.fullmatch(text):
        shown = text if len(text) <= 60 else f"{text[:57]}..."
        raise SourceError(f"model: its program has {shown!r} as {key}, which no plain export writes; export it again")


def _operator(text: str, _: str) -> None:
    if not _OPERATOR.fullmatch(text):
        shown = text if len(text) <= 60 else f"{text[:57]}..."
        raise SourceError(
            f"model: its program calls {shown!r}; only torch's own operators are allowed: export without custom ones"
        )


def _dialect(text: str, _: str) -> None:
    if text not in _DIALECTS:
        raise SourceError(f"model: its program is of the dialect {text!r}; save what torch.export.export returned")


def _tree(text: str, _: str) -> None:
    try:
        _, spec = json.loads(text)
        waiting = [spec]
        while waiting:
            node = waiting.pop()
            waiting.extend(node["children_spec"])
            kind, context = node["type"], node["context"]
            if kind is not None and kind not in _CONTAINERS:
                raise SourceError(
                    f"model: it takes or returns a {kind}; export with tensors, tuples, lists and dicts only"
                )
            keys = json.loads(context) if isinstance(context, str) else context
            if keys is not None and not all(isinstance(name, str | int) for name in keys):
                raise SourceError("model: a dict it takes or returns has odd keys; use strings")
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError("model: its program's list of inputs cannot be read; export it again") from error


def _free_text(_: str, __: str) -> None:
    """Accept what torch only ever compares or prints quoted."""


_CHECKS: dict[str, Callable[[str, str], None]] = {
    "expr_str": _matches(_EXPRESSION),
    "target": _operator,
    "as_operator": _operator,
    "in_spec": _tree,
    "out_spec": _tree,
    "verifiers": _dialect,
    "torch_version": _matches(_VERSION),
    "as_float": _matches(_NUMBER),
    "as_floats": _matches(_NUMBER),
    "as_string": _free_text,
    "as_strings": _free_text,
} | dict.fromkeys(
    ("fqn", "parameter_name", "buffer_name", "tensor_constant_name", "user_input_name"), _matches(_DOTTED)
)
