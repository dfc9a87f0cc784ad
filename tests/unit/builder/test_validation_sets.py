"""Sets that fit the model are read alike from every format; those that cannot decide are refused in one line."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save as save_tensors

from slipstream_builder.errors import ValidationError
from slipstream_builder.validation import dataset, metrics
from slipstream_builder.validation.formats import apart, parquet
from slipstream_contract.manifest import TensorSpec

ITEMS = 12
X = TensorSpec("x", "FP32", (-1, 3))
TWO = (X, TensorSpec("mask", "INT64", (-1, -1)))
IMAGE = TensorSpec("x", "FP32", (-1, 3, 2, 2))
LOGITS = TensorSpec("logits", "FP32", (-1, 4))
SCORE = TensorSpec("score", "FP32", (-1, 1))
FLAT = TensorSpec("score", "FP32", (-1,))
MAPS = TensorSpec("maps", "FP32", (-1, 4, 8, 8))


@pytest.fixture(autouse=True)
def parquet_is_read_in_this_process(monkeypatch):
    """Start no process for every file."""
    monkeypatch.setattr(apart, "read", parquet.decode)


def as_npz(arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def as_parquet(arrays):
    columns = {
        name: pa.array(array.tolist(), lists(array.ndim - 1, pa.from_numpy_dtype(array.dtype)))
        for name, array in arrays.items()
    }
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def lists(depth, inner):
    return inner if depth == 0 else pa.list_(lists(depth - 1, inner))


WRITERS = {
    "npz": as_npz,
    "safetensors": lambda arrays: save_tensors({name: np.ascontiguousarray(one) for name, one in arrays.items()}),
    "parquet": as_parquet,
}
ALL = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())


def rows(seed=0, **others):
    x = np.random.default_rng(seed).standard_normal((ITEMS, 3)).astype(np.float32)
    return {"x": x, "labels": np.arange(ITEMS) % 4, **others}


def read(data, metric="accuracy", inputs=(X,), output=LOGITS):
    return dataset.read_labelled(data, inputs, output, metrics.parse(metric))


@ALL
def test_a_sound_set_is_read_as_it_is(write):
    arrays = rows(slices=np.arange(ITEMS) % 3)
    found, notes = read(write(arrays))
    assert (found.inputs["x"] == arrays["x"]).all()
    assert (found.labels == arrays["labels"]).all()
    assert (found.slices == arrays["slices"]).all()
    assert (found.items, found.ignore, notes) == (ITEMS, None, ())


@ALL
def test_casts_that_lose_nothing_are_made_and_noted(write):
    arrays = rows(mask=np.ones((ITEMS, 5), np.int32))
    arrays["x"] = arrays["x"].astype(np.float64)
    found, notes = read(write(arrays), inputs=TWO)
    assert (found.inputs["x"].dtype, found.inputs["mask"].dtype) == (np.float32, np.int64)
    assert notes == (
        "validation set: array 'x' was converted from float64 to float32",
        "validation set: array 'mask' was converted from int32 to int64",
    )


@pytest.mark.parametrize(
    ("found", "wanted"), [(np.uint8, "FP32"), (np.bool_, "INT64"), (np.int64, "INT32"), (np.float32, "FP64")]
)
def test_a_wider_or_equally_able_type_is_a_harmless_cast(found, wanted):
    arrays = {"x": (np.arange(ITEMS * 3).reshape(ITEMS, 3) % 2).astype(found), "labels": np.zeros(ITEMS, int)}
    labelled, notes = read(as_npz(arrays), inputs=(TensorSpec("x", wanted, (-1, 3)),))
    assert (labelled.inputs["x"] == arrays["x"]).all()
    assert len(notes) == 1


@ALL
def test_flat_items_are_laid_out_in_the_inputs_own_shape_and_that_is_noted(write):
    flat = np.arange(ITEMS * 12, dtype=np.float32).reshape(ITEMS, 12)
    found, notes = read(write(rows(x=flat) | {"x": flat}), inputs=(IMAGE,))
    assert (found.inputs["x"] == flat.reshape(ITEMS, 3, 2, 2)).all()
    assert notes == ("validation set: array 'x' [items, 12] was laid out as [items, 3, 2, 2], in row order",)


def test_a_column_of_numbers_serves_an_input_and_targets_of_one_value():
    arrays = {"x": np.arange(ITEMS, dtype=np.float32), "labels": np.arange(ITEMS, dtype=np.float32)}
    found, _ = read(as_npz(arrays), "mae", (TensorSpec("x", "FP32", (-1, 1)),), SCORE)
    assert found.inputs["x"].shape == (ITEMS, 1)
    assert found.labels.shape == (ITEMS, 1)


def test_strings_may_name_slices_and_a_part_keeps_them():
    found, _ = read(as_npz(rows(slices=np.array(["a", "b"] * (ITEMS // 2)))))
    assert found.part(np.array([1, 3])).slices.tolist() == ["b", "b"]
    assert found.part(np.array([1, 3])).labels.tolist() == [1, 3]


def test_a_quarter_is_set_aside_with_its_labels_and_no_item_counts_twice():
    found, _ = read(as_npz(rows(slices=np.arange(ITEMS))))
    decides, aside = dataset.set_aside(found, metrics.parse("accuracy"), seed=0)
    assert (decides.items, len(aside.inputs["x"])) == (9, 3)
    assert sorted([*decides.labels, *aside.labels]) == sorted(found.labels)
    assert not set(map(tuple, decides.inputs["x"])) & set(map(tuple, aside.inputs["x"]))


def test_labels_are_set_aside_only_where_the_metric_says_what_they_mean():
    found, _ = read(as_npz(rows()), "agreement")
    assert dataset.set_aside(found, metrics.parse("agreement"), seed=0)[1].labels is None


@ALL
def test_an_unlabelled_set_may_have_labels_to_learn_from(write):
    found, _ = dataset.read_unlabelled(write(rows()), (X,), LOGITS, metrics.parse("accuracy"))
    assert found.labels.tolist() == (np.arange(ITEMS) % 4).tolist()
    assert dataset.read_unlabelled(write(rows()), (X,), LOGITS, None)[0].labels is None


def test_labels_of_an_unlabelled_set_are_checked_too():
    data = as_npz(rows() | {"labels": np.arange(ITEMS) % 10})
    with pytest.raises(ValidationError, match="unlabelled set: 'labels' ranges from 0 to 9"):
        dataset.read_unlabelled(data, (X,), LOGITS, metrics.parse("accuracy"))


def spoilt(where, value):
    array = rows()["x"]
    array[where] = value
    return array


BAD = {
    "no labels": ("accuracy", {"labels": None}, "array 'labels' is missing; accuracy compares with it"),
    "no input": ("accuracy", {"x": None, "features": rows()["x"]}, "array 'x' is missing.*found features"),
    "one array too many": ("accuracy", {"extra": np.zeros(ITEMS)}, "array 'extra' is no input of the model"),
    "fewer labels": ("accuracy", {"labels": np.zeros(ITEMS - 1, int)}, "'labels' has 11 items, the inputs have 12"),
    "an item of NaN": ("accuracy", {"x": spoilt((5, 1), np.nan)}, r"NaN or infinity \(item 5\)"),
    "an infinite item": ("accuracy", {"x": spoilt((7, 0), np.inf)}, r"NaN or infinity \(item 7\)"),
    "another width": ("accuracy", {"x": rows()["x"][:, :2]}, r"has shape \[12, 2\], the model takes \[items, 3\]"),
    "too large for its type": ("accuracy", {"x": rows()["x"].astype(float) * 1e300}, "cannot hold .*astype"),
    "strange labels": ("accuracy", {"labels": np.arange(ITEMS)}, "'labels' ranges from 0 to 11; output 'logits' has"),
    "negative labels": ("accuracy", {"labels": np.arange(ITEMS) - 1}, "ranges from -1 to 10"),
    "labels of floats": ("accuracy", {"labels": np.zeros(ITEMS, np.float32)}, "accuracy needs integers with shape"),
    "labels of NaN": ("mae", {"labels": np.full((ITEMS, 4), np.nan)}, r"'labels' holds NaN or infinity \(item 0\)"),
    "targets of another shape": ("mse", {"labels": np.zeros((ITEMS, 3))}, "mse compares them one by one"),
    "targets of booleans": ("mse", {"labels": np.zeros((ITEMS, 4), bool)}, "mse needs numbers"),
    "flat labels for a ranking": ("ndcg@3", {}, r"ndcg@3 needs integers with shape \[items, m\]"),
    "an item with nothing relevant": (
        "hit-rate@2",
        {"labels": np.array([[0, 1]] * 11 + [[-1, -1]])},
        r"item 11 has no relevant output in 'labels' \(1 such items\)",
    ),
    "ignore without a ranking": ("accuracy", {"ignore": np.zeros((ITEMS, 1), int)}, "'ignore' goes with ranking"),
    "ignore of fewer items": (
        "ndcg@2",
        {"labels": np.zeros((ITEMS, 1), int), "ignore": np.zeros((3, 1), int)},
        "'ignore' has 3 items",
    ),
    "slices of floats": (
        "accuracy",
        {"slices": np.zeros(ITEMS)},
        "'slices' is float64.*an integer or a string an item",
    ),
    "slices of two axes": (
        "accuracy",
        {"slices": np.zeros((ITEMS, 2), int)},
        r"'slices' is int64 with shape \[12, 2\]",
    ),
    "slices of fewer items": ("accuracy", {"slices": np.zeros(5, int)}, "'slices' has 5 items"),
    "auc of one class only": ("auc", {"labels": np.ones(ITEMS, int)}, "holds only 1; auc needs items of both"),
    "auc of many classes": ("auc", {"labels": np.zeros(ITEMS, int)}, "auc needs one score or two classes"),
    "f1 of no positives": ("f1", {"labels": np.zeros(ITEMS, int)}, "holds only 0; f1 of labels 0 and 1 is that of"),
    "a K that takes all": ("accuracy@4", {}, "always 1 for the 4 classes"),
}
OUTPUTS = {"auc of one class only": SCORE, "f1 of no positives": SCORE}


def changed(changes):
    return {name: array for name, array in (rows() | changes).items() if array is not None}


def can_hold(write, changes):
    """The columns of a table are equally long."""
    return write is not as_parquet or len({len(array) for array in changed(changes).values()}) == 1


WRITTEN = [(write, name) for name in BAD for write in WRITERS.values() if can_hold(write, BAD[name][1])]


@pytest.mark.parametrize(("write", "name"), WRITTEN, ids=[f"{write.__name__}-{name}" for write, name in WRITTEN])
def test_a_set_that_cannot_decide_is_refused_in_one_line(write, name):
    metric, changes, words = BAD[name]
    arrays, output = changed(changes), OUTPUTS.get(name, LOGITS)
    with pytest.raises(ValidationError, match=words) as refused:
        read(write(arrays), metric, output=output)
    assert str(refused.value).startswith(("validation set: ", "validation.metric: "))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("metric", "output", "words"),
    [
        ("agreement", MAPS, "agreement needs an output .items, n.; 'maps' has 4 axes"),
        ("agreement@3", SCORE, "needs several values an item; 'score' has one"),
        ("neighbors@3", FLAT, "needs an output .items, n."),
        ("ndcg@3", FLAT, "needs an output .items, n."),
    ],
)
def test_a_metric_that_does_not_fit_the_output_is_refused_without_labels_too(metric, output, words):
    with pytest.raises(ValidationError, match=words):
        read(as_npz({"x": rows()["x"]}), metric, output=output)


def test_inputs_that_differ_in_length_or_hold_nothing_are_refused():
    with pytest.raises(ValidationError, match=r"differ in their number of items: {'x': 12, 'mask': 3}"):
        read(as_npz(rows(mask=np.zeros((3, 2), int))), inputs=TWO)
    with pytest.raises(ValidationError, match="it holds no items"):
        read(as_npz({"x": np.zeros((0, 3), np.float32), "labels": np.zeros(0, int)}))
    with pytest.raises(ValidationError, match="array 'x' is a single number"):
        read(as_npz({"x": np.float32(1), "labels": np.zeros(0, int)}))


@pytest.mark.parametrize(
    ("array", "wanted", "words"),
    [
        (np.full((ITEMS, 3), 2**40), "INT32", "cannot hold 1099511627776 .item 0.; convert it yourself"),
        (np.full((ITEMS, 3), -1), "UINT8", "cannot hold -1"),
        (np.full((ITEMS, 3), -1), "UINT64", "cannot hold -1"),
        (np.full((ITEMS, 3), 2**64 - 1, np.uint64), "INT64", "cannot hold 18446744073709551615"),
        (np.full((ITEMS, 3), 2**24 + 1), "FP32", "cannot hold 16777217"),
        (np.full((ITEMS, 3), 0.1, np.float32), "FP16", "cannot hold 0.1"),
        (np.full((ITEMS, 3), 1.0), "INT64", r"is float64, the model takes int64; convert it with .astype\(np.int64\)"),
        (np.full((ITEMS, 3), 1), "BOOL", "is int64, the model takes bool"),
        (np.full((ITEMS, 3), "a"), "FP32", "is <U1, the model takes float32"),
    ],
)
def test_a_cast_that_would_lose_something_is_refused_with_the_fix(array, wanted, words):
    with pytest.raises(ValidationError, match=words):
        read(as_npz({"x": array, "labels": np.zeros(ITEMS, int)}), inputs=(TensorSpec("x", wanted, (-1, 3)),))


def test_a_model_with_an_input_of_a_name_that_means_something_is_refused():
    with pytest.raises(ValidationError, match="the model has an input called 'labels'"):
        read(as_npz(rows()), inputs=(X, TensorSpec("labels", "INT64", (-1,))))
