"""A user's own metric: a function in the builder image, named as `package.module:function`.

It is called with batches of items, in order, as `function(outputs, labels, items)`: `outputs` are all of the model's
outputs by name, `labels` the set's own labels or None, `items` the model's inputs by name; the first axis of every
array counts the batch's items, and none may be written to. It returns one finite number an item, [items], which depends
on that item only. Two attributes of the function may say more: `higher_is_better = False` for an error, and `task` (one
of ranking, classification, regression, embedding; regression where it is not said), which tells how a smaller model
learns.
"""

import importlib
import re
import traceback
from collections.abc import Callable, Mapping
from typing import Any, get_args

import numpy as np

from slipstream_builder.arrays import Array, Rows, Scores, count, take
from slipstream_builder.errors import ValidationError
from slipstream_builder.validation import metrics

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_KINDS = "fiub"
_SAME = 1e-4
_ALONE = 8


def parse(name: str) -> metrics.Metric:
    """Return the metric called `name`, built in or a user's own, which is imported.

    Raises:
        ValidationError: there is none of that name, or it cannot be imported.
    """
    return _load(name) if _NAME.fullmatch(name) else metrics.parse(name)


def score(metric: metrics.Metric, outputs: Mapping[str, Array], labels: Array | None, items: Rows) -> Scores:
    """Return the user's scores of one batch, one an item.

    Raises:
        ValidationError: the function raises, or does not return one finite number an item.
    """
    wanted = count(items)
    guarded = [{name: _locked(array) for name, array in arrays.items()} for arrays in (outputs, items)]
    found = np.asarray(_call(metric, guarded[0], None if labels is None else _locked(labels), guarded[1]))
    if found.shape != (wanted,) or found.dtype.kind not in _KINDS:
        raise ValidationError(
            f"validation.metric: {metric.name} returned {found.dtype} of shape {list(found.shape)} for {wanted} items; "
            f"return one number an item, [{wanted}]"
        )
    scores = found.astype(np.float64)
    if not np.isfinite(scores).all():
        item = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise ValidationError(f"validation.metric: {metric.name} returned {scores[item]} for an item, no finite number")
    return scores


def check_apart(metric: metrics.Metric, outputs: Mapping[str, Array], labels: Array | None, items: Rows) -> None:
    """Accept a metric that gives the first items the same scores alone as among the others of their batch.

    Raises:
        ValidationError: it does not, so its scores are no independent items to judge by.
    """
    among = score(metric, outputs, labels, items)
    for item in range(min(_ALONE, len(among))):
        one = slice(item, item + 1)
        alone = score(metric, take(outputs, one), None if labels is None else labels[one], take(items, one))[0]
        if abs(among[item] - alone) > _SAME * max(abs(among[item]), abs(alone), 1e-12):
            raise ValidationError(
                f"validation.metric: {metric.name} gives an item {alone:.6g} alone and {among[item]:.6g} among others; "
                "an item's score may depend on that item only"
            )


def _load(name: str) -> metrics.Metric:
    module_name, _, function_name = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # a user's module may do anything while it is imported
        words = " ".join(str(error).split())[:200]
        raise ValidationError(
            f"validation.metric: {module_name} cannot be imported in the builder image ({type(error).__name__}: "
            f"{words}); install it there"
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise ValidationError(f"validation.metric: {module_name} has no function {function_name!r}; check the name")
    task: Any = getattr(function, "task", "regression")
    if task not in get_args(metrics.Task) or task == "policy":
        raise ValidationError(
            f"validation.metric: {name}.task is {task!r}; use ranking, classification, regression or embedding"
        )
    higher = getattr(function, "higher_is_better", True)
    return metrics.Metric(name, "own", 0, task, bool(higher), function)


def _call(metric: metrics.Metric, outputs: Any, labels: Array | None, items: Any) -> Any:
    function: Callable[..., Any] | None = metric.function
    if function is None:
        raise ValueError(f"{metric.name} is no metric of a user's own")
    try:
        return function(outputs, labels, items)
    except Exception as error:  # the function is the user's own program
        place = traceback.extract_tb(error.__traceback__)[-1]
        words = " ".join(str(error).split())[:200]
        raise ValidationError(
            f"validation.metric: {metric.name} raised {type(error).__name__}: {words} ({place.filename}, line "
            f"{place.lineno})"
        ) from error


def _locked(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view
