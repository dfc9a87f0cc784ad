"""What is measured: three models, each with its metric, the builder's budget and the figures to reach."""

import importlib
from dataclasses import dataclass
from pathlib import Path

from bench.build.models import store

MAX_DROP = 0.01
CONFIDENCE = 0.95
BATCH = 32
"""The batch size at which speeds are held against their targets; everything is computed on one thread."""
LATENCY_MILLISECONDS = 2000
"""The objective in every manifest: wide enough for batches of 32, which the builder then chooses for."""
MEMORY_FLOOR, MEMORY_FACTOR = 3 << 30, 6
"""A build may hold this many bytes, and this many times the bytes of its model."""


@dataclass(frozen=True)
class Case:
    """One model: `speed` and `size` are how many times faster and smaller than the optimised original it must get.

    `build_seconds` is the longest the whole build may take; None: only its budget holds it.
    """

    name: str
    title: str
    metric: str
    budget_seconds: int
    speed: float
    size: float
    build_seconds: int | None = None

    def folder(self) -> Path:
        """Return the folder with the model and its data, made first where it is missing.

        Raises:
            BenchError: it cannot be made.
        """
        try:
            # A run of one model need not have, or wait for, the libraries that make the others.
            maker = importlib.import_module(f"bench.build.models.{self.name}")
        except ImportError as error:
            raise store.BenchError(f"{error}; run: pip install -r bench/build/requirements.txt") from error
        return store.made(self.name, maker.SOURCES, maker.make)


CASES = (
    Case("recommender", "Film recommender (MovieLens-100K)", "ndcg@10", 480, speed=5.0, size=6.0, build_seconds=600),
    Case("encoder", "Sentence encoder (all-MiniLM-L6-v2)", "neighbors@10", 420, speed=1.8, size=3.5),
    Case("classifier", "Digit classifier (6 convolutions)", "accuracy", 600, speed=4.0, size=6.0),
)
