"""Replicas that the tests of one module share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from slipstream_testing.artifacts import mlp, write_artifact
from slipstream_testing.replicas import ReplicaProcess, replica


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small perceptron's artifact."""
    folder = tmp_path_factory.mktemp("artifact")
    write_artifact(folder, mlp())
    return folder


@pytest.fixture(scope="module")
def served(artifact: Path) -> Iterator[ReplicaProcess]:
    """Return a running replica of it."""
    with replica(artifact, cache_bytes=1_000_000) as running:
        yield running
