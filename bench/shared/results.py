"""What a benchmark measured, as it is kept in a results.json: one record a case, merged over runs."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar

from slipstream_contract import codec


class Named(Protocol):
    """What is asked of a record."""

    @property
    def name(self) -> str:
        """The case."""
        ...


Case = TypeVar("Case", bound=Named)


@dataclass(frozen=True)
class CaseResults(Generic[Case]):
    """All cases measured so far; a benchmark's own class names the type of `cases`, by which they are read."""

    cases: tuple[Case, ...] = ()

    def case(self, name: str) -> Case | None:
        """Return the result of the case `name`, or None where it was not measured."""
        return next((case for case in self.cases if case.name == name), None)

    def merged(self, result: Case, order: tuple[str, ...]) -> Self:
        """Return these with `result` in its place, in the `order` of the cases."""
        cases = {case.name: case for case in (*self.cases, result)}
        return replace(self, cases=tuple(cases[name] for name in order if name in cases))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the results at `path`; none where there is no such file.

        Raises:
            ContractError: it holds something else.
        """
        return codec.decode_json(cls, path.read_bytes(), str(path)) if path.exists() else cls()


def write(results: object, path: Path) -> None:
    """Write the results, a dataclass of the contract's kind, so that a change shows line by line."""
    path.write_text(json.dumps(codec.encode(results), indent=2) + "\n")
