"""All workers as one replica: whether it lives and is ready, and its metrics."""

import asyncio
from collections.abc import Callable

from slipstream_contract import metrics
from slipstream_runtime.observing import families
from slipstream_runtime.observing.families import Family
from slipstream_runtime.workers.member import Member

SCRAPE_SECONDS = 0.5
"""How long a scrape waits for a worker; one that does not answer counts with what it told before."""

SILENT_SECONDS = 10.0
"""A worker that does not answer for so long is stuck; a batch on its event loop may take a while."""


class Fleet:
    """The members, and what those had counted that are gone."""

    def __init__(self, processes: int, clock: Callable[[], float]) -> None:
        self.members: list[Member] = []
        self.restarts = 0
        self.serving = False
        """Whether every member has been ready once."""
        self.draining = False
        self._processes = processes
        self._clock = clock
        self._ended: list[Family] = []

    @property
    def live(self) -> bool:
        """Whether every member that serves answers, and its session ends its batches."""
        return all(self._lives(member) for member in self.members if member.serving)

    @property
    def ready(self) -> bool:
        """Whether new requests are welcome: one member is enough while another is started again."""
        return (
            self.serving
            and not self.draining
            and any(member.serving and member.status.ready and self._lives(member) for member in self.members)
        )

    def _lives(self, member: Member) -> bool:
        silent = self._clock() - member.asked_at if member.asked_at else 0.0
        return member.status.live and silent < SILENT_SECONDS

    def bury(self, member: Member) -> None:
        """Take a member out that has ended, and keep what it had counted."""
        self.members.remove(member)
        self._ended = families.merge([self._ended, member.counted], [], 1)

    async def ask(self) -> None:
        """Bring every member's status up to date; those that are silent take no longer than the others."""
        await asyncio.gather(*(member.ask(SCRAPE_SECONDS) for member in self.members))

    async def metrics(self) -> bytes:
        """Return the text of `/metrics`."""
        await self.ask()
        living = [member.status.families for member in self.members if member.serving]
        merged = families.merge(living, self._ended, self._processes)
        return families.text([*merged, self._restarts()])

    def _restarts(self) -> Family:
        return families.counter(
            metrics.RESTARTS_TOTAL, "Processes that died and were started again.", [((), self.restarts)]
        )
