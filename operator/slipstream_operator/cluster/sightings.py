"""Whether a watch shows what a list says: pure. A quiet watch is well, one that misses a change is blind."""

from collections.abc import Mapping

from slipstream_operator.cluster.queue import Key


class Sightings:
    """The newest version of each object that the watch has shown, and since when it owes one; times in seconds."""

    def __init__(self) -> None:
        self._seen: dict[Key, int] = {}
        self._owed: dict[Key, tuple[int, float]] = {}

    def seen(self, key: Key, version: int) -> None:
        """Take it that the watch showed `key` at `version`."""
        self._seen[key] = max(version, self._seen.get(key, 0))
        owed, _ = self._owed.get(key, (0, 0.0))
        if owed <= version:
            self._owed.pop(key, None)

    def listed(self, versions: Mapping[Key, int], now: float) -> None:
        """Take it that a list had these versions at the time `now`."""
        since = {key: at for key, (_, at) in self._owed.items()}
        late = ((key, version) for key, version in versions.items() if self._seen.get(key, 0) < version)
        self._owed = {key: (version, since.get(key, now)) for key, version in late}
        self._seen = {key: version for key, version in self._seen.items() if key in versions}

    def lost(self) -> None:
        """Take it that nobody can list: what the watch owes cannot be judged."""
        self._owed.clear()

    def behind_seconds(self, now: float) -> float:
        """Return for how long the watch has owed a change at the time `now`."""
        return max((now - at for _, at in self._owed.values()), default=0.0)
