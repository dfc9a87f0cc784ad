"""Before readiness every batch size that will be formed has run, the largest first, and no time goes to others."""

from dataclasses import replace

import pytest

from slipstream_contract.manifest import LatencyCurve
from slipstream_runtime.errors import ModelFailedError, StartError
from slipstream_runtime.model.artifact import load_variant
from slipstream_runtime.model.selfcheck import measure
from slipstream_testing.artifacts import mlp, write_artifact


class Recorder:
    """A session that notes the sizes it ran."""

    exhausted = False

    def __init__(self, provider="cpu", room=1000):
        self.provider = provider
        self.room = room
        self.sizes = []

    def run(self, tensors):
        rows = tensors[0].shape[0]
        if rows > self.room:
            self.exhausted = True
            raise ModelFailedError("the accelerator's memory is exhausted")
        self.sizes.append(rows)
        return tensors


@pytest.fixture
def loaded(tmp_path):
    write_artifact(tmp_path, mlp())
    return load_variant(tmp_path, "original")


def slow(loaded):
    curve = LatencyCurve(0.0, 0.01, 0.0, ())
    return replace(loaded, variant=replace(loaded.variant, latency=curve))


def test_all_sizes_to_the_cap_run_the_largest_first(loaded):
    session = Recorder()
    measure(session, loaded, 24, objective_seconds=0.1)
    assert list(dict.fromkeys(session.sizes)) == [24, 16, 8, 4, 2, 1]


def test_a_slow_model_is_not_measured_where_the_objective_is_long_past(loaded):
    session = Recorder()
    measure(session, slow(loaded), 128, objective_seconds=0.1)
    assert max(session.sizes) == 10


def test_an_accelerator_prepares_every_size(loaded):
    session = Recorder("cuda")
    measure(session, slow(loaded), 128, objective_seconds=0.1)
    assert max(session.sizes) == 128


def test_exhausted_memory_is_named_with_what_to_do(loaded):
    with pytest.raises(
        StartError, match="--max-batch: variant 'original' cannot run 128 rows; the accelerator's memory"
    ):
        measure(Recorder("cuda", room=64), loaded, 128, objective_seconds=0.1)
