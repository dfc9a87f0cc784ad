"""Reads the credentials of a source from the files of a mounted Kubernetes secret."""

from dataclasses import dataclass, field
from pathlib import Path

from slipstream_builder.fetching.transfer import TransferError

_MAX_BYTES = 1 << 20  # the most that Kubernetes keeps in a secret


@dataclass(frozen=True)
class Secret:
    """A mounted secret: each key a file. `used` collects the values read, so that no message repeats them."""

    name: str
    folder: Path
    used: list[str] = field(default_factory=list, repr=False)

    def plain(self, *keys: str) -> str | None:
        """Return the value of the first of `keys` that the secret has, and without white space around it.

        Raises:
            TransferError: it is empty, or cannot be read as text.
        """
        key = self.has(*keys)
        if key is None:
            return None
        try:
            with (self.folder / key).open("rb") as file:
                value = file.read(_MAX_BYTES).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise TransferError(f"key {key} of secret {self.name} cannot be read; check the secret") from error
        if not value or (any(letter in value for letter in "\r\n\0") and not value.startswith(("{", "-----BEGIN"))):
            raise TransferError(f"key {key} of secret {self.name} is empty or has several lines; set it again")
        return value

    def get(self, *keys: str) -> str | None:
        """Do as `plain` does for a value that no message may show.

        Raises:
            TransferError: as `plain`.
        """
        value = self.plain(*keys)
        if value is not None:
            self.used.append(value)
        return value

    def need(self, *keys: str) -> str:
        """Return the value, to be kept secret, of the first of `keys` that the secret has.

        Raises:
            TransferError: it has none of them.
        """
        value = self.get(*keys)
        if value is None:
            raise TransferError(f"secret {self.name} has no key {' or '.join(keys)} (it has {self._keys()}); add it")
        return value

    def has(self, *keys: str) -> str | None:
        """Return the first of `keys` that the secret has."""
        return next((key for key in keys if (self.folder / key).is_file()), None)

    def path(self, key: str) -> Path:
        """Return the file of `key`."""
        return self.folder / key

    def _keys(self) -> str:
        # A mounted secret has links named ..data and ..TIMESTAMP beside its keys.
        names = sorted(entry.name for entry in self.folder.iterdir() if not entry.name.startswith(".."))
        return ", ".join(names[:8]) or "none"


def open_secret(name: str, root: str) -> Secret:
    """Return the secret `name` that is mounted below `root`.

    Raises:
        TransferError: it is not there.
    """
    folder = Path(root) / name
    if name in ("", ".", "..") or "/" in name or not folder.is_dir():
        raise TransferError(
            f"secret {name} is not mounted at {folder}; create it in the agent's namespace "
            "(without a cluster, leave it out and set the environment's variables)"
        )
    return Secret(name, folder)
