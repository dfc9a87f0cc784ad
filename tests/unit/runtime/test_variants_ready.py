"""The variants of an artifact are each verified before they may answer, and one at a time where memory is short."""

from dataclasses import replace

import numpy as np
import pytest

from slipstream_contract.manifest import MANIFEST_FILE, FileDigest
from slipstream_contract.serving import ServingOptions
from slipstream_runtime.errors import StartError
from slipstream_runtime.model import quota
from slipstream_runtime.model.variants import fits, load_models
from slipstream_testing.artifacts import mlp, write_variants

ROWS = np.ones((2, 8), dtype=np.float32)


@pytest.fixture
def folder(tmp_path):
    write_variants(tmp_path, {"original": mlp(), "smaller": mlp(hidden=4, seed=1), "smallest": mlp(hidden=2, seed=2)})
    return tmp_path


@pytest.fixture
def loaded(folder):
    sets = []

    def load(**changes):
        options = ServingOptions(
            str(folder), "original", "tiny", **{"variant_file": "variant", "max_batch": 4} | changes
        )
        sets.append(load_models(options, threads=1))
        return sets[-1]

    yield load
    for models in sets:
        models.close()


def test_all_variants_are_ready_when_the_replica_is(loaded):
    models = loaded()
    assert models.loaded == ("original", "smaller", "smallest")
    assert models.current.name == "original"
    assert models.current.provider == "cpu"


def test_each_variant_gives_its_own_answers(loaded):
    models = loaded()
    answers = [models.get(name).run((ROWS,))[0] for name in models.names]
    assert [answer.shape for answer in answers] == [(2, 3)] * 3
    assert not np.allclose(answers[0], answers[1])
    assert all(models.get(name).line.seconds(1) > 0 for name in models.names)


def test_without_a_file_that_switches_only_the_chosen_variant_is_loaded(loaded):
    models = loaded(variant_file="")
    assert models.loaded == ("original",)
    with pytest.raises(KeyError, match="no variant 'smaller'; this replica has original"):
        models.get("smaller")


def test_an_unknown_name_leaves_the_present_variant_in_place(loaded):
    models = loaded()
    with pytest.raises(KeyError, match="this replica has original, smaller, smallest"):
        models.get("huge")
    assert models.current.name == "original"


def test_a_damaged_variant_is_found_before_the_replica_is_ready(folder, loaded):
    path = folder / "smallest.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(StartError, match=r"smallest\.onnx: differs from the manifest's digest"):
        loaded()


def test_where_memory_is_short_one_variant_is_held_at_a_time(loaded, monkeypatch):
    monkeypatch.setattr(quota, "memory_bytes", lambda: 1)
    models = loaded()
    assert models.loaded == ("original",)
    smaller = models.get("smaller")
    assert models.loaded == ("original", "smaller")
    models.switched(smaller)
    assert models.loaded == ("smaller",)
    assert models.current is smaller


def test_where_memory_allows_a_switch_keeps_all(loaded):
    models = loaded()
    models.switched(models.get("smaller"))
    assert models.loaded == models.names


def test_an_artifact_that_was_replaced_meanwhile_is_not_mixed_with_the_old(folder, loaded, monkeypatch):
    monkeypatch.setattr(quota, "memory_bytes", lambda: 1)
    models = loaded()
    (folder / MANIFEST_FILE).write_text((folder / MANIFEST_FILE).read_text() + " ")
    with pytest.raises(StartError, match="was replaced while it was served"):
        models.get("smaller")
    assert models.current.name == "original"


def test_what_fits_is_decided_by_half_of_the_memory(tmp_path):
    (variant,) = write_variants(tmp_path, {"original": mlp()}).variants
    large = replace(variant, file=FileDigest("large.onnx", 100 << 20, ""))
    assert fits([large, large], 1200 << 20)
    assert not fits([large, large], 1199 << 20)


def test_the_file_s_bytes_are_not_kept_beside_the_session(loaded):
    session = loaded(variant_file="").current.session
    assert session._runs._call.__self__._model_bytes is None
