"""Keeps finished candidates of an unfinished build, so that a build that was killed goes on where it was."""

from dataclasses import dataclass
from pathlib import Path

from slipstream_builder.files import sha256, write_atomically
from slipstream_contract import codec
from slipstream_contract.errors import ContractError


@dataclass(frozen=True)
class _Entry:
    key: str
    sha256: str | None
    failure: str | None


@dataclass(frozen=True)
class Kept:
    """A finished candidate: its model, or why it cannot be built."""

    model: bytes | None
    failure: str | None


@dataclass(frozen=True)
class CandidateCache:
    """Candidates below `folder`; `key` stands for all that shaped them, and others' are not used."""

    folder: Path
    key: str

    def get(self, name: str) -> Kept | None:
        """Return the candidate `name` when it was finished, from the same inputs and tools, and is undamaged."""
        try:
            entry = codec.decode_json(_Entry, self._record(name).read_bytes(), name)
            if entry.key != self.key:
                return None
            if entry.sha256 is None:
                return Kept(None, entry.failure or "it failed before")
            model = self._model(name).read_bytes()
        except (OSError, ContractError):
            return None
        return Kept(model, None) if sha256(model) == entry.sha256 else None

    def put_model(self, name: str, model: bytes) -> None:
        """Keep a built candidate."""
        write_atomically(self._model(name), model)
        self._put(name, _Entry(self.key, sha256(model), None))

    def put_failure(self, name: str, failure: str) -> None:
        """Keep why a candidate cannot be built."""
        self._put(name, _Entry(self.key, None, failure))

    def _put(self, name: str, entry: _Entry) -> None:
        write_atomically(self._record(name), codec.canonical_json(entry))

    def _record(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _model(self, name: str) -> Path:
        return self.folder / f"{name}.onnx"
