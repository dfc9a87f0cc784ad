"""Whether a live object still is what was applied: only what differs is written, so an idle operator writes nothing."""

from typing import Any

from slipstream_contract import names
from slipstream_operator.api.quantities import amount

_KIND = ("apiVersion", "kind")


def needs_apply(wanted: dict[str, Any], live: dict[str, Any] | None) -> bool:
    """Return whether `wanted` must be applied: it is absent, was applied otherwise, or was changed by someone else.

    The digest finds fields that are no longer wanted; the comparison finds others' changes to those that are.
    """
    if live is None:
        return True
    before = live["metadata"].get("annotations", {}).get(names.ANNOTATION_SPEC_HASH)
    if before != wanted["metadata"]["annotations"][names.ANNOTATION_SPEC_HASH]:
        return True
    # The items of a list do not say their own kind.
    return not all(contains(live.get(key), value) for key, value in wanted.items() if key not in _KIND)


def contains(live: Any, wanted: Any) -> bool:
    """Return whether `live` has all that `wanted` says; it may have more, such as the API server's defaults."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(key in live and contains(live[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        return isinstance(live, list) and _list_contains(live, wanted)
    return bool(live == wanted) or _same_quantity(live, wanted)


def _list_contains(live: list[Any], wanted: list[Any]) -> bool:
    if any(isinstance(item, dict) for item in wanted):
        # Server-side apply merges such lists by key, so that others may have added items of their own.
        return all(any(contains(candidate, item) for candidate in live) for item in wanted)
    return live == wanted


def _same_quantity(live: Any, wanted: Any) -> bool:
    """Return whether both are one quantity: the API server writes "0.5" as "500m", and "1024Mi" as "1Gi"."""
    if not isinstance(live, str) or not isinstance(wanted, str):
        return False
    one = amount(live)
    return one is not None and one == amount(wanted)
