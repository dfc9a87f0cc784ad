"""Where `slipstream up` keeps one deployment's artifacts, logs and lock: `.slipstream/NAME` in the working folder."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from slipstream_contract import names
from slipstream_contract.keys import DEFAULT_CALLER, accepting_line, new_token
from slipstream_operator.errors import MachineError


@dataclass(frozen=True)
class StateFolder:
    """The folder of one deployment."""

    root: Path

    @property
    def store(self) -> Path:
        """The artifact store."""
        return self.root / "artifacts"

    @property
    def logs(self) -> Path:
        """One log a process."""
        return self.root / "logs"

    @property
    def report(self) -> Path:
        """The report of the last run."""
        return self.root / "report.html"

    @property
    def variant(self) -> Path:
        """The file that names the variant which the replicas answer with."""
        return self.root / names.VARIANT_FILE

    @property
    def token(self) -> Path:
        """The bearer token that the replicas of this folder take."""
        return self.root / names.TOKEN_FILE

    @property
    def keys(self) -> Path:
        """What the replicas know of it: its digest."""
        return self.root / names.KEYS_FILE

    def name_variant(self, name: str) -> None:
        """Tell the replicas which variant to answer with; they look at the file once a second.

        Raises:
            MachineError: the folder cannot be written.
        """
        draft = self.variant.with_suffix(".new")
        try:
            draft.write_text(name)
            draft.replace(self.variant)
        except OSError as error:
            raise MachineError(
                f"{self.variant}: cannot be written ({error.strerror}); choose one with --state"
            ) from error

    def ensure_token(self) -> None:
        """Make the token, once, readable by this user alone.

        Raises:
            MachineError: the folder cannot be written.
        """
        if self.token.exists() and self.keys.exists():
            return
        token = new_token()
        lines = {self.token: token, self.keys: f"{accepting_line(DEFAULT_CALLER, token)}\n"}
        try:
            for path, text in lines.items():
                path.touch(mode=0o600)
                path.write_text(text)
        except OSError as error:
            raise MachineError(f"{self.root}: cannot be written ({error.strerror}); choose one with --state") from error

    def create(self) -> None:
        """Make the folders.

        Raises:
            MachineError: the folder cannot be written.
        """
        try:
            for folder in (self.store, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MachineError(f"{self.root}: cannot be written ({error.strerror}); choose one with --state") from error

    def lock(self) -> IO[str]:
        """Return an open file whose lock keeps a second `slipstream up` of the same deployment away.

        Raises:
            MachineError: another process holds it.
        """
        handle = (self.root / "lock").open("a+")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            handle.seek(0)
            owner = handle.read().strip() or "unknown"
            handle.close()
            raise MachineError(
                f"{self.root}: in use by process {owner} (`slipstream up`); end it first or choose another --state"
            ) from error
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        return handle
