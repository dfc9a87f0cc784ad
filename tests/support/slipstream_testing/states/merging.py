"""How server-side apply and merge patches change a document: pure, as far as one manager of fields goes."""

from typing import Any

Document = dict[str, Any]


def applied(live: Any, wanted: Any, before: Any) -> Any:
    """Return `live` with all that `wanted` says, and without what only `before`, the last apply, said."""
    if not isinstance(wanted, dict):
        return wanted
    result: Document = dict(live) if isinstance(live, dict) else {}
    old: Document = before if isinstance(before, dict) else {}
    for key in old.keys() - wanted.keys():
        if not _bare(result, key, old[key]):
            result.pop(key, None)
    for key, value in wanted.items():
        result[key] = applied(result.get(key), value, old.get(key))
    return result


def _bare(result: Document, key: str, old: Any) -> bool:
    """Take from a map what the last apply put there; return whether others have something in it."""
    if not isinstance(old, dict) or not isinstance(result.get(key), dict):
        return False
    result[key] = applied(result[key], {}, old)
    return bool(result[key])


def merged(live: Document, change: Document) -> Document:
    """Return `live` after a JSON merge patch."""
    result = dict(live)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            there = result.get(key)
            result[key] = merged(there if isinstance(there, dict) else {}, value)
        else:
            result[key] = value
    return result
