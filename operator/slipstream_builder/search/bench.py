"""What every part of a build's search shares."""

import time
from dataclasses import dataclass

from slipstream_builder import sessions
from slipstream_builder.arrays import Rows
from slipstream_builder.measuring.profile import Timer
from slipstream_builder.reporting import Reporter
from slipstream_builder.search.conductor import Workshop
from slipstream_builder.search.judging import Accuracy
from slipstream_contract.recipe import Recipe


@dataclass(frozen=True)
class Bench:
    """The settings, rows to measure with, the accuracy gate (None: no validation set), and where candidates are made.

    `deadline` is the end of the time budget on the reporter's clock; `agreement` how far the ONNX lies from the torch
    program it was made from, as a share of the largest output (None: it was ONNX).
    """

    recipe: Recipe
    rows: Rows
    accuracy: Accuracy | None
    workshop: Workshop
    deadline: float
    agreement: float | None = None

    @property
    def reporter(self) -> Reporter:
        """Where progress goes, and where the clock is."""
        return self.workshop.reporter

    @property
    def timer(self) -> Timer:
        """What runs are timed with."""
        return Timer(self.reporter.clock, time.process_time if self.recipe.accelerator == "cpu" else None)

    def open(self, model: bytes) -> sessions.Session:
        """Return a session for `model` as a replica would have it."""
        return sessions.open_session(model, self.recipe.threads, self.recipe.accelerator)
