"""Keeps finished candidates of an unfinished build, so that a build that was killed goes on where it was."""

from dataclasses import dataclass
from pathlib import Path

from slipstream_builder.files import sha256, write_atomically
from slipstream_builder.search.judging import Judgement
from slipstream_contract import codec
from slipstream_contract.errors import ContractError


@dataclass(frozen=True)
class Record:
    """What is known of a candidate: why it cannot be built; or its model's digest, and its judgement once it has one.

    `key` stands for all that shaped it; `seconds` is what building it took. `training_operations` are those that
    one course of training costs, where that was asked for and the model can be trained.
    """

    key: str
    failure: str | None = None
    sha256: str | None = None
    seconds: float = 0.0
    judgement: Judgement | None = None
    training_operations: float | None = None


@dataclass(frozen=True)
class CandidateCache:
    """Candidates below `folder`; records with another key than asked for are not used."""

    folder: Path

    def get(self, name: str, key: str) -> Record | None:
        """Return the record of `name` when it was made under `key`, and its model, where it has one, is undamaged."""
        try:
            record = codec.decode_json(Record, self._record(name).read_bytes(), name)
            if record.key != key:
                return None
            if record.failure is None and sha256(self.model(name)) != record.sha256:
                return None
        except (OSError, ContractError):
            return None
        return record

    def model(self, name: str) -> bytes:
        """Return the model of a candidate that has one.

        Raises:
            OSError: it has none, or it cannot be read.
        """
        return self._model(name).read_bytes()

    def put(self, name: str, record: Record, model: bytes | None = None) -> None:
        """Keep `record`, and with it a model that is new; a kill between leaves an older record or none."""
        if model is not None:
            write_atomically(self._model(name), model)
        write_atomically(self._record(name), codec.canonical_json(record))

    def _record(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _model(self, name: str) -> Path:
        return self.folder / f"{name}.onnx"
