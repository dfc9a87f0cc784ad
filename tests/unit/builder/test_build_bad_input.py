"""Every kind of bad input: exit code 2, one clear line, no traceback, and nothing left in the store."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from slipstream_builder.__main__ import main
from slipstream_contract.summary import BuildSummary
from slipstream_testing import onnx_models


def truncate_model(folder: Path, recipe):
    path = folder / "model.onnx"
    path.write_bytes(path.read_bytes()[:-700])


def text_for_model(folder: Path, recipe):
    (folder / "model.onnx").write_text("<html>404 not found</html>")


def empty_model(folder: Path, recipe):
    (folder / "model.onnx").write_bytes(b"")


def missing_model(folder: Path, recipe):
    recipe["model"]["uri"] = str(folder / "nowhere.onnx")


def folder_for_model(folder: Path, recipe):
    recipe["model"]["uri"] = str(folder)


def wrong_digest(folder: Path, recipe):
    recipe["model"]["sha256"] = "0" * 64


def unknown_scheme(folder: Path, recipe):
    recipe["model"]["uri"] = "ftp://host/model.onnx"


def climbing_claim(folder: Path, recipe):
    recipe["model"]["uri"] = "pvc://claim/../../etc/passwd"


def pickled_model(folder: Path, recipe):
    recipe["model"]["uri"] = str(folder / "model.pt")


def external_data(folder: Path, recipe):
    onnx.save(
        onnx_models.mlp(), folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0
    )


def external_data_in_a_subgraph(folder: Path, recipe):
    tensor = onnx.TensorProto(name="hidden", data_type=onnx.TensorProto.FLOAT, dims=[1])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    sparse = onnx.SparseTensorProto(values=tensor, indices=tensor, dims=[1])
    inner = helper.make_graph([helper.make_node("Constant", [], ["c"], sparse_value=sparse)], "inner", [], [])
    model = onnx_models.mlp()
    model.graph.node.append(helper.make_node("If", ["x"], ["never"], then_branch=inner, else_branch=inner))
    onnx.save(model, folder / "model.onnx")


def custom_operator(folder: Path, recipe):
    nodes = [helper.make_node("Evil", ["x"], ["logits"], domain="evil.example")]
    model = onnx_models.model(nodes, {"x": ["N", 16]}, {"logits": ["N", 16]}, domains=("evil.example",))
    onnx.save(model, folder / "model.onnx")


def old_opset(folder: Path, recipe):
    nodes = [helper.make_node("Relu", ["x"], ["logits"])]
    onnx.save(onnx_models.model(nodes, {"x": ["N", 16]}, {"logits": ["N", 16]}, opset=9), folder / "model.onnx")


def shape_that_cannot_be_run(folder: Path, recipe):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["logits"])]
    model = onnx_models.model(nodes, {"x": ["N", 16]}, {"logits": ["N", 4]}, {"w": np.zeros((3, 4))})
    onnx.save(model, folder / "model.onnx")


def batch_that_cannot_be_freed(folder: Path, recipe):
    nodes = [helper.make_node("Reshape", ["x", "square"], ["y"]), helper.make_node("Flatten", ["y"], ["logits"])]
    model = onnx_models.model(nodes, {"x": [1, 16]}, {"logits": [4, 4]})
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([4, 4]), "square"))
    onnx.save(model, folder / "model.onnx")


def rows_that_mix(folder: Path, recipe):
    nodes = [helper.make_node("Softmax", ["x"], ["logits"], axis=0)]
    onnx.save(onnx_models.model(nodes, {"x": ["N", 16]}, {"logits": ["N", 16]}), folder / "model.onnx")


def change_arrays(folder: Path, **changes):
    with np.load(folder / "validation.npz") as found:
        arrays = dict(found)
    for name, change in changes.items():
        changed = change(arrays)
        if changed is None:
            del arrays[name]
        else:
            arrays[name] = changed
    np.savez(folder / "validation.npz", **arrays)


def validation_is_not_npz(folder: Path, recipe):
    (folder / "validation.npz").write_text("x,labels\n1,2\n")


def validation_with_pickles(folder: Path, recipe):
    change_arrays(folder, labels=lambda arrays: np.array([{"code": 1}] * 800, dtype=object))


def input_is_missing(folder: Path, recipe):
    change_arrays(folder, x=lambda arrays: None, features=lambda arrays: arrays["labels"])


def input_too_many(folder: Path, recipe):
    change_arrays(folder, extra=lambda arrays: arrays["x"])


def wrong_shape(folder: Path, recipe):
    change_arrays(folder, x=lambda arrays: arrays["x"][:, :7])


def wrong_dtype(folder: Path, recipe):
    change_arrays(folder, x=lambda arrays: arrays["x"].astype(np.float64) * 1e300)


def nan_input(folder: Path, recipe):
    change_arrays(folder, x=lambda arrays: np.where(np.arange(800)[:, None] == 3, np.float32("nan"), arrays["x"]))


def labels_are_missing(folder: Path, recipe):
    change_arrays(folder, labels=lambda arrays: None)


def fewer_labels(folder: Path, recipe):
    change_arrays(folder, labels=lambda arrays: arrays["labels"][:-1])


def label_out_of_range(folder: Path, recipe):
    change_arrays(folder, labels=lambda arrays: arrays["labels"] + 1)


def labels_of_another_metric(folder: Path, recipe):
    recipe["validation"]["metric"] = "ndcg@10"


def float_labels_for_accuracy(folder: Path, recipe):
    change_arrays(folder, labels=lambda arrays: arrays["labels"].astype(np.float32))


def ignore_without_ranking(folder: Path, recipe):
    change_arrays(folder, ignore=lambda arrays: arrays["labels"][:, None])


def too_few_items(folder: Path, recipe):
    recipe["validation"]["max_drop"] = 0.001


def unknown_metric(folder: Path, recipe):
    recipe["validation"]["metric"] = "f7"


def labels_that_are_all_wrong(folder: Path, recipe):
    source = onnx.load(folder / "model.onnx")
    change_arrays(folder, labels=lambda arrays: (onnx_models.answers(source, arrays["x"]) + 1) % 4)


def unlabelled_of_another_shape(folder: Path, recipe):
    np.savez(folder / "unlabelled.npz", x=np.zeros((10, 3), np.float32))


def unknown_field(folder: Path, recipe):
    recipe["modle"] = {}


def unknown_technique(folder: Path, recipe):
    recipe.update(mode="Manual", techniques=["Magic"])


def no_cuda_here(folder: Path, recipe):
    recipe["accelerator"] = "cuda"


CASES = [
    (truncate_model, "InvalidSource", "truncated"),
    (text_for_model, "InvalidSource", "not ONNX"),
    (empty_model, "InvalidSource", "empty"),
    (missing_model, "InvalidSource", "no such file"),
    (folder_for_model, "InvalidSource", "not a regular file"),
    (wrong_digest, "InvalidSource", "wanted 0000"),
    (unknown_scheme, "InvalidSource", "scheme 'ftp'"),
    (climbing_claim, "InvalidSource", "without '..'"),
    (pickled_model, "InvalidSource", "torch.onnx.export"),
    (external_data, "InvalidSource", "keeps its data in another file"),
    (external_data_in_a_subgraph, "InvalidSource", "keeps its data in another file"),
    (custom_operator, "InvalidSource", "evil.example.Evil"),
    (old_opset, "InvalidSource", "opset 9 is too old"),
    (shape_that_cannot_be_run, "InvalidSource", "model:"),
    (batch_that_cannot_be_freed, "InvalidSource", "dynamic first axis"),
    (rows_that_mix, "InvalidSource", "could not share a batch"),
    (validation_is_not_npz, "InvalidValidation", "not a readable .npz"),
    (validation_with_pickles, "InvalidValidation", "not a readable .npz of plain arrays"),
    (input_is_missing, "InvalidValidation", "array 'x' is missing"),
    (input_too_many, "InvalidValidation", "array 'extra' is no input"),
    (wrong_shape, "InvalidValidation", "[800, 7], the model takes [items, 16]"),
    (wrong_dtype, "InvalidValidation", "float64, the model takes float32"),
    (nan_input, "InvalidValidation", "NaN or infinity (item 3)"),
    (labels_are_missing, "InvalidValidation", "array 'labels' is missing"),
    (fewer_labels, "InvalidValidation", "799 items"),
    (label_out_of_range, "InvalidValidation", "ranges from 1 to 4"),
    (labels_of_another_metric, "InvalidValidation", "padded with -1"),
    (float_labels_for_accuracy, "InvalidValidation", "needs integers"),
    (ignore_without_ranking, "InvalidValidation", "'ignore' goes with ranking"),
    (too_few_items, "InvalidValidation", "takes at least 2996"),
    (unknown_metric, "InvalidValidation", "'f7' is not a metric"),
    (labels_that_are_all_wrong, "InvalidValidation", "labels and inputs belong together"),
    (unlabelled_of_another_shape, "InvalidValidation", "unlabelled set"),
    (unknown_field, "InvalidRecipe", "modle: unknown field"),
    (unknown_technique, "InvalidRecipe", "'Magic' is not known"),
    (no_cuda_here, "InvalidRecipe", "cannot use cuda"),
]


@pytest.mark.parametrize(("spoil", "reason", "words"), CASES, ids=[case[0].__name__ for case in CASES])
def test_bad_input_gives_one_clear_line_and_leaves_nothing(spoil, reason, words, case, build, capfd):
    folder, recipe = case
    spoil(folder, recipe)
    summary = folder / "summary.json"

    code = build("--summary", str(summary))

    error = capfd.readouterr().err
    assert code == 2
    assert error.startswith("slipstream-builder: error: ")
    assert error.count("\n") == 1
    assert words in error
    assert "Traceback" not in error
    told = BuildSummary.from_json(summary.read_text())
    assert (told.reason, words in told.message) == (reason, True)
    assert not [path for path in (folder / "store").rglob("*") if path.is_file()]


def test_a_recipe_that_is_not_json_is_refused(case, build, capfd):
    folder, _ = case
    (folder / "recipe.json").write_text("{")
    assert main(["build", "--recipe", str(folder / "recipe.json"), "--store", str(folder / "store")]) == 2
    assert "not JSON" in capfd.readouterr().err
    assert not (folder / "store").exists()


def test_a_report_of_no_artifact_is_refused(tmp_path, capfd):
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "r.html")]) == 2
    assert capfd.readouterr().err.count("\n") == 1
