"""Callers by their Kubernetes tokens: `--authentication token-review`."""

import asyncio
from collections.abc import Callable
from time import monotonic, time
from typing import Any, Protocol

from slipstream_contract.keys import digest_of
from slipstream_runtime.callers.gate import Caller, bearer_token
from slipstream_runtime.callers.verdicts import Accepted, Verdicts, lifetime
from slipstream_runtime.errors import AuthenticationError, ForbiddenError, UnavailableError

MAX_REMEMBERED = 4096

MAX_REVIEWS = 64
"""Tokens under review at a time; a flood of made-up ones must not become a flood at the API server."""

PATIENCE_SECONDS = 0.5
"""How long a caller who was accepted before waits for a new review, should the API server hang."""

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0


class Reviewer(Protocol):
    """What is asked of the API server."""

    async def user(self, token: str) -> dict[str, Any]:
        """Return who the token belongs to; AuthenticationError if nobody, UnavailableError if it is not known."""
        ...

    async def permit(self, user: dict[str, Any]) -> None:
        """Return if the user may use this model; ForbiddenError if not, UnavailableError if it is not known."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class TokenReviewGate:
    """Knows callers by what the API server says of their tokens, which is remembered for a minute."""

    def __init__(
        self, reviewer: Reviewer, clock: Callable[[], float] = monotonic, wall_clock: Callable[[], float] = time
    ) -> None:
        self._reviewer = reviewer
        self._clock = clock
        self._wall_clock = wall_clock
        self._verdicts = Verdicts()
        self._remembered: dict[bytes, Accepted] = {}
        self._reviews: dict[bytes, asyncio.Task[Caller]] = {}
        self._pause = FIRST_PAUSE_SECONDS
        self._paused_until = 0.0

    def known(self, authorization: bytes | None) -> Caller | None:
        """Return the caller whose header was reviewed within the last minute."""
        accepted = self._remembered.get(authorization) if authorization is not None else None
        return accepted.caller if accepted is not None and self._clock() < accepted.fresh_until else None

    async def review(self, authorization: bytes | None) -> Caller:
        """Return whose token it is.

        Raises:
            AuthenticationError: nobody's, or it is not meant for this.
            ForbiddenError: someone's who may not use this model.
            UnavailableError: the API server cannot be asked, and has not accepted the token lately.
        """
        token = bearer_token(authorization)
        digest = digest_of(token)
        if self._verdicts.fresh(digest, self._clock()) is None:
            caller = await self._settled(digest, token)
        accepted = self._verdicts.fresh(digest, self._clock())
        if accepted is None:
            return caller
        if len(self._remembered) >= MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[bytes(authorization or b"")] = accepted
        return accepted.caller

    def start(self) -> None:
        """Nothing goes on in the background."""

    async def close(self) -> None:
        """Give up the reviews under way."""
        for review in self._reviews.values():
            review.cancel()
        await asyncio.gather(*self._reviews.values(), return_exceptions=True)
        await self._reviewer.close()

    async def _settled(self, digest: bytes, token: bytes) -> Caller:
        """Review the token, once for all who bring it now; while that cannot be done, believe the last verdict."""
        known = self._verdicts.stale(digest, self._clock())
        try:
            async with asyncio.timeout(None if known is None else PATIENCE_SECONDS):
                return await asyncio.shield(self._begun(digest, token))
        except (UnavailableError, TimeoutError):
            if known is None:
                raise
            return known

    def _begun(self, digest: bytes, token: bytes) -> asyncio.Task[Caller]:
        review = self._reviews.get(digest)
        if review is not None:
            return review
        wait = self._paused_until - self._clock()
        if wait > 0 or len(self._reviews) >= MAX_REVIEWS:
            raise UnavailableError("who calls cannot be checked now; retry later", max(1, round(wait)))
        review = asyncio.get_running_loop().create_task(self._ask(digest, token))
        self._reviews[digest] = review
        review.add_done_callback(lambda review: self._end(digest, review))
        return review

    def _end(self, digest: bytes, review: asyncio.Task[Caller]) -> None:
        self._reviews.pop(digest, None)
        if not review.cancelled():
            review.exception()  # looked at, even if all who waited have gone

    async def _ask(self, digest: bytes, token: bytes) -> Caller:
        try:
            user = await self._reviewer.user(token.decode("ascii", "replace"))
            await self._reviewer.permit(user)
        except (AuthenticationError, ForbiddenError) as error:
            self._verdicts.refuse(digest, error, self._clock())
            raise
        except UnavailableError:
            self._paused_until = self._clock() + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
            raise
        self._pause = FIRST_PAUSE_SECONDS
        caller = Caller(b"user:" + user["username"].encode())
        self._verdicts.accept(digest, caller, self._clock(), lifetime(token, self._wall_clock()))
        return caller
