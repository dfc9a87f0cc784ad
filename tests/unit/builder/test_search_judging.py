import dataclasses

import numpy as np
import pytest

from slipstream_builder import sessions
from slipstream_builder.gate import evaluate
from slipstream_builder.search import judging
from slipstream_builder.search.cache import CandidateCache, Record
from slipstream_builder.validation import dataset, metrics
from slipstream_contract.recipe import Validation
from slipstream_testing import onnx_models

ITEMS = 4000


@pytest.fixture(scope="module")
def accuracy():
    """The gate over a classifier's own answers, of which one in twenty is wrong."""
    generator = np.random.default_rng(0)
    rows = generator.standard_normal((ITEMS, onnx_models.FEATURES)).astype(np.float32)
    labels = onnx_models.answers(onnx_models.mlp(), rows)
    labels[::20] = (labels[::20] + 1) % onnx_models.CLASSES
    slices = np.where(np.arange(ITEMS) % 2, "odd", "even")
    labelled = dataset.Labelled({"x": rows}, labels, None, slices)
    source = sessions.open_session(onnx_models.mlp().SerializeToString(), 1)
    examination = evaluate.prepare(metrics.parse("accuracy"), labelled, source)
    return judging.Accuracy(
        examination, Validation("accuracy", 0.01, 0.95), evaluate.scores(source, examination), seed=0
    )


def judge(accuracy, seed, *, hasty):
    model = onnx_models.mlp(seed=seed).SerializeToString()
    rows = dict(accuracy.examination.deciding.inputs)
    return judging.judge(model, sessions.open_session(model, 1), rows, accuracy, hasty=hasty)


def test_a_ruined_model_is_stopped_before_all_items_with_what_was_lost_on_those(accuracy):
    judged = judge(accuracy, seed=1, hasty=True)
    assert judged.inaccurate
    assert "stopped after 500 of 4000 items" in judged.verdicts[0].reason
    assert judged.drop > 0.5
    assert judged.drop_bound is None


def test_without_haste_the_same_model_is_judged_on_all_items(accuracy):
    judged = judge(accuracy, seed=1, hasty=False)
    assert judged.inaccurate
    assert judged.drop_bound > judged.drop > 0.5


def test_haste_changes_nothing_for_a_model_that_passes(accuracy):
    assert judge(accuracy, seed=0, hasty=True) == judge(accuracy, seed=0, hasty=False)
    assert [verdict.passed for verdict in judge(accuracy, seed=0, hasty=True).verdicts] == [True, True]


def test_slices_are_judged_where_a_limit_is_asked_for(accuracy):
    asked = dataclasses.replace(accuracy.asked, max_slice_drop=0.02)
    judged = judge(dataclasses.replace(accuracy, asked=asked), seed=0, hasty=True)
    assert [verdict.name for verdict in judged.verdicts] == ["accuracy", "slices", "isolation"]


def test_a_record_is_used_only_under_its_key_and_with_its_model_undamaged(tmp_path):
    cache = CandidateCache(tmp_path)
    record = Record("key", sha256="9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0")
    cache.put("int8", record, b"aaa")
    assert cache.get("int8", "key") == record
    assert cache.get("int8", "another key") is None
    (tmp_path / "int8.onnx").write_bytes(b"aab")
    assert cache.get("int8", "key") is None


def test_why_a_candidate_cannot_be_built_is_kept_without_a_model(tmp_path):
    cache = CandidateCache(tmp_path)
    cache.put("pruned50", Record("key", failure="no layer can be pruned"))
    assert cache.get("pruned50", "key").failure == "no layer can be pruned"
