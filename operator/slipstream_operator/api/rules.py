"""Evaluates the CRD's CEL rules as the API server does when an object is created: there is no `oldSelf` then."""

import functools
from collections.abc import Iterator
from typing import Any

import celpy
from celpy.adapter import json_to_cel
from celpy.celtypes import BoolType, DoubleType, StringType
from celpy.evaluation import CELFunction

from slipstream_operator.api.quantities import amount


def problems(value: Any, schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Return what the rules of `schema` and of all within it say against `value`, which lies at `path`."""
    for rule in schema.get("x-kubernetes-validations", []):
        if not _holds(rule["rule"], value):
            yield f"{path}: {rule['message']}" if path else rule["message"]
    if isinstance(value, dict):
        for name, child in schema.get("properties", {}).items():
            if name in value:
                yield from problems(value[name], child, join(path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from problems(item, schema.get("items", {}), f"{path}[{index}]")


def join(path: str, name: str) -> str:
    """Return the path of the field `name` within the one at `path`."""
    return f"{path}.{name}" if path else name


def _holds(rule: str, value: Any) -> bool:
    return bool(_program(rule).evaluate({"self": json_to_cel(value), "oldSelf": None}))


def _has_value(_old: None) -> BoolType:
    return BoolType(False)


def _is_quantity(text: StringType) -> BoolType:
    return BoolType(amount(text) is not None)


def _quantity(text: StringType) -> DoubleType:
    return DoubleType(amount(text) or 0)


def _is_less_than(one: DoubleType, other: DoubleType) -> BoolType:
    return BoolType(float(one) < float(other))


_KUBERNETES: dict[str, CELFunction] = {
    "hasValue": _has_value,
    "isQuantity": _is_quantity,
    "quantity": _quantity,
    "isLessThan": _is_less_than,
}
"""What Kubernetes adds to CEL, as far as the rules use it."""


@functools.cache
def _program(rule: str) -> celpy.Runner:
    environment = celpy.Environment()
    return environment.program(environment.compile(rule), functions=_KUBERNETES)
