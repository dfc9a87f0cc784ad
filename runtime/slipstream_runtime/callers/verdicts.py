"""What is remembered of reviewed tokens, and for how long. Pure: the caller tells the time.

A token that was accepted counts for FRESH_SECONDS, one that was refused for REFUSED_SECONDS. While the API server is
away, callers that it accepted go on until their token expires, for STALE_SECONDS at most; nobody new gets in.
"""

import base64
import binascii
import json
import math
from collections import OrderedDict
from typing import NamedTuple, TypeVar

from slipstream_runtime.callers.gate import Caller
from slipstream_runtime.errors import ServingError

T = TypeVar("T")

FRESH_SECONDS = 60.0
REFUSED_SECONDS = 5.0
STALE_SECONDS = 600.0

MAX_ACCEPTED = 10_000
MAX_REFUSED = 1_000
"""Kept apart, so that made-up tokens never push out real ones."""


class Accepted(NamedTuple):
    """A caller; reviewed again after `fresh_until`, and never let in after `stale_until`."""

    caller: Caller
    fresh_until: float
    stale_until: float


class Refused(NamedTuple):
    """What to raise until when; the error itself would grow with every time it is raised."""

    kind: type[ServingError]
    message: str
    until: float


class Verdicts:
    """Accepted and refused tokens by their digest; those reviewed longest ago are forgotten first."""

    def __init__(self) -> None:
        self._accepted: OrderedDict[bytes, Accepted] = OrderedDict()
        self._refused: OrderedDict[bytes, Refused] = OrderedDict()

    def accept(self, digest: bytes, caller: Caller, now: float, lifetime: float) -> None:
        """Remember a caller whose token lives for `lifetime` more seconds."""
        self._refused.pop(digest, None)
        fresh, stale = now + min(FRESH_SECONDS, lifetime), now + min(STALE_SECONDS, lifetime)
        _put(self._accepted, digest, Accepted(caller, fresh, stale), MAX_ACCEPTED)

    def refuse(self, digest: bytes, error: ServingError, now: float) -> None:
        """Remember a refusal."""
        self._accepted.pop(digest, None)
        _put(self._refused, digest, Refused(type(error), str(error), now + REFUSED_SECONDS), MAX_REFUSED)

    def fresh(self, digest: bytes, now: float) -> Accepted | None:
        """Return the caller if there is no need to ask.

        Raises:
            ServingError: the token was refused just now.
        """
        accepted = self._accepted.get(digest)
        if accepted is not None and now < accepted.fresh_until:
            return accepted
        refused = self._refused.get(digest)
        if refused is not None and now < refused.until:
            raise refused.kind(refused.message)
        return None

    def stale(self, digest: bytes, now: float) -> Caller | None:
        """Return the caller if it may go on although nobody can be asked."""
        accepted = self._accepted.get(digest)
        return accepted.caller if accepted is not None and now < accepted.stale_until else None


def lifetime(token: bytes, wall_clock: float) -> float:
    """Return the seconds until a token says that it expires, which is unending for one that does not say.

    Only for tokens that the API server has accepted: the signature is not looked at.
    """
    try:
        payload = token.split(b".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
        return float(claims["exp"]) - wall_clock
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return math.inf


def _put(kept: OrderedDict[bytes, T], digest: bytes, value: T, most: int) -> None:
    kept[digest] = value
    kept.move_to_end(digest)
    if len(kept) > most:
        kept.popitem(last=False)
