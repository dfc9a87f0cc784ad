"""What every part of a build's search shares."""

from dataclasses import dataclass

from slipstream_builder import sessions
from slipstream_builder.arrays import Rows
from slipstream_builder.reporting import Reporter
from slipstream_builder.search.conductor import Workshop
from slipstream_builder.search.judging import Accuracy
from slipstream_contract.recipe import Recipe


@dataclass(frozen=True)
class Bench:
    """The settings, rows to measure with, the accuracy gate (None: no validation set), and where candidates are made.

    `deadline` is the end of the time budget on the reporter's clock.
    """

    recipe: Recipe
    rows: Rows
    accuracy: Accuracy | None
    workshop: Workshop
    deadline: float

    @property
    def reporter(self) -> Reporter:
        """Where progress goes, and where the clock is."""
        return self.workshop.reporter

    def open(self, model: bytes) -> sessions.Session:
        """Return a session for `model` as a replica would have it."""
        return sessions.open_session(model, self.recipe.threads, self.recipe.accelerator)
