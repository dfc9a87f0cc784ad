"""What became of the requests."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class Counts:
    """What became of the requests; all but `mismatched`, `wrong` and `silent` are as they should be.

    `mismatched` answers were not the caller's own, `wrong` ones failed without cause or did not fail with one, and
    `silent` ones never came. `grpc` of those sent went over gRPC.
    """

    sent: int = 0
    grpc: int = 0
    own: int = 0
    left: int = 0
    failed: int = 0
    refused: int = 0
    mismatched: int = 0
    wrong: int = 0
    silent: int = 0
    seconds: float = 0.0

    @property
    def faults(self) -> int:
        """How many requests went wrong."""
        return self.mismatched + self.wrong + self.silent

    def answered(self, *, own: bool, fails: bool) -> None:
        """Count an answer, `own` if it holds the caller's nonces, to a request that `fails` if all is well."""
        if fails:
            self.wrong += 1
        elif own:
            self.own += 1
        else:
            self.mismatched += 1

    def errored(self, *, fails: bool) -> None:
        """Count an error of the model."""
        if fails:
            self.failed += 1
        else:
            self.wrong += 1


@dataclass
class Counter:
    """Counts that survive an interruption, in the file at `path` if there is one."""

    path: Path | None
    counts: Counts = field(default_factory=Counts)

    def load(self) -> None:
        """Go on from what was kept."""
        if self.path is not None and self.path.exists():
            self.counts = Counts(**json.loads(self.path.read_text()))

    def keep(self) -> None:
        """Write the counts."""
        if self.path is not None:
            self.path.write_text(json.dumps(asdict(self.counts)))
