"""Fetches as the builder does, with secrets and names of a test's own and pauses that take no time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from slipstream_builder.errors import SourceError
from slipstream_builder.fetching.fetch import Fetched, Role, fetch
from slipstream_builder.fetching.guard import system_lookup
from slipstream_builder.fetching.surroundings import Surroundings
from slipstream_builder.fetching.transfer import Limits
from slipstream_contract.recipe import Source

_ROLE = Role("model", SourceError)


@dataclass
class Fetcher:
    """Fetches into the temporary folder; `names` are hosts that resolve to the next of their addresses."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)
    limits: Limits = field(default_factory=lambda: Limits(read_seconds=5.0, total_seconds=60.0))
    pauses: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    now: float = 0.0

    def fetch(self, uri: str, sha256: str | None = None, secret: str | None = None) -> Fetched:
        """Fetch as a model."""
        around = Surroundings(
            claims=str(self.folder / "claims"),
            secrets=str(self.folder / "secrets"),
            environ=self.environ,
            lookup=self._lookup,
            clock=self._clock,
            sleep=self._sleep,
        )
        report = lambda fraction, words: self.said.append(f"{fraction:.2f} {words}")  # noqa: E731
        return fetch(Source(uri, sha256, secret), _ROLE, report, self.limits, around)

    def refusal(self, uri: str, sha256: str | None = None, secret: str | None = None) -> str:
        """The one line with which the fetch is refused."""
        try:
            self.fetch(uri, sha256, secret)
        except SourceError as error:
            (line,) = str(error).splitlines()
            return line
        raise AssertionError(f"{uri} was fetched")

    def secret(self, name: str, keys: Mapping[str, str]) -> str:
        """Mount a secret as the kubelet does: each key a link into a dated folder."""
        folder = self.folder / "secrets" / name
        (folder / "..data").mkdir(parents=True)
        for key, value in keys.items():
            (folder / "..data" / key).write_text(value)
            (folder / key).symlink_to(Path("..data") / key)
        return name

    def _lookup(self, host: str, port: int) -> list[str]:
        if host not in self.names:
            return system_lookup(host, port)
        return [self.names[host].pop(0)]

    def _clock(self) -> float:
        return self.now

    def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
