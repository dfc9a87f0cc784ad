"""Whatever is wrong, `slipstream up` says it in one clear line, exits with 2, and leaves nothing half-built."""

import subprocess

import numpy as np
import onnx
import pytest

from slipstream_operator.local.replicas import listen
from slipstream_testing.artifacts import mlp
from slipstream_testing.command_line import COMMAND, run, write_manifest, write_workspace


@pytest.fixture
def spec(tmp_path):
    return write_workspace(tmp_path)


def refusal(folder, spec, *arguments):
    """Run `slipstream up` on a bad input and return its one line."""
    ended = run(folder, "up", str(write_manifest(folder, spec)), "--plain", "--port", "0", *arguments)
    store = folder / ".slipstream" / "small" / "artifacts"

    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert not list(store.glob("sha256-*"))
    assert not list(store.glob("recipes/*"))
    (line,) = ended.stderr.splitlines()
    return line


def change_validation(folder, **changes):
    with np.load(folder / "valid.npz") as arrays:
        np.savez(folder / "valid.npz", **{**arrays, **changes})


def test_an_unknown_field_is_named_with_the_one_that_was_meant(tmp_path, spec):
    spec["objectiv"] = spec.pop("scaling")

    assert "agent.yaml: spec.objectiv: unknown field; did you mean objective?" in refusal(tmp_path, spec)


def test_a_missing_field_is_named(tmp_path, spec):
    del spec["model"]["uri"]

    assert "agent.yaml: spec.model.uri: required field is missing" in refusal(tmp_path, spec)


def test_a_missing_model_file_is_named(tmp_path, spec):
    (tmp_path / "model.onnx").unlink()

    assert "spec.model.uri" in refusal(tmp_path, spec)


def test_a_digest_that_differs_shows_the_one_found(tmp_path, spec):
    spec["model"]["sha256"] = "0" * 64

    assert "spec.model.sha256" in refusal(tmp_path, spec)


def test_a_truncated_model_is_refused(tmp_path, spec):
    content = (tmp_path / "model.onnx").read_bytes()
    (tmp_path / "model.onnx").write_bytes(content[: len(content) // 2])

    assert "error: model: not ONNX" in refusal(tmp_path, spec)


def test_a_file_that_is_no_model_is_refused(tmp_path, spec):
    (tmp_path / "model.onnx").write_bytes(b"not a model")

    assert "error: model: not ONNX" in refusal(tmp_path, spec)


def test_a_model_with_external_data_is_refused_with_the_way_to_a_single_file(tmp_path, spec):
    model = mlp(32, 256, 10).proto
    onnx.save(model, tmp_path / "model.onnx", save_as_external_data=True, size_threshold=0, location="weights.bin")

    line = refusal(tmp_path, spec)

    assert "external" in line


def test_a_pickled_checkpoint_is_refused_with_the_way_to_export(tmp_path, spec):
    spec["model"]["uri"] = "model.pt"

    assert "torch.onnx.export" in refusal(tmp_path, spec)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"features": np.zeros((600, 7), np.float32)}, "features", id="a wrong shape"),
        pytest.param({"features": np.full((600, 32), "dear")}, "features", id="a wrong dtype"),
        pytest.param({"features": np.full((600, 32), np.nan, np.float32)}, "features", id="not a number"),
        pytest.param({"features": np.zeros((5, 32), np.float32)}, "items", id="counts that differ"),
        pytest.param({"labels": np.full(600, 77)}, "labels", id="a label out of range"),
        pytest.param({"image": np.zeros(600, np.float32)}, "image", id="a name the model does not have"),
    ],
)
def test_a_validation_set_that_does_not_fit_the_model_names_the_array(tmp_path, spec, changes, words):
    change_validation(tmp_path, **changes)

    line = refusal(tmp_path, spec)

    assert "error: validation" in line
    assert words in line


def test_a_validation_set_without_an_input_names_it(tmp_path, spec):
    np.savez(tmp_path / "valid.npz", labels=np.zeros(600, np.int64))

    assert "features" in refusal(tmp_path, spec)


def test_too_few_items_to_decide_are_refused(tmp_path, spec):
    change_validation(tmp_path, features=np.zeros((3, 32), np.float32), labels=np.zeros(3, np.int64))

    assert "items" in refusal(tmp_path, spec)


def test_a_metric_that_does_not_fit_the_labels_is_refused(tmp_path, spec):
    spec["validation"]["metric"] = "ndcg@10"

    assert "labels" in refusal(tmp_path, spec)


def test_a_port_in_use_is_found_before_anything_is_built(tmp_path, spec):
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        line = refusal(tmp_path, spec, "--port", str(port))

    assert f"127.0.0.1:{port}: Address already in use; choose another port with --port" in line


def test_a_disk_that_fills_while_building_leaves_nothing_that_looks_whole(tmp_path):
    """A file system of 64 KiB, mounted in a namespace of its own so that it goes with the command."""
    disk = tmp_path / "disk"
    disk.mkdir()
    spec = write_workspace(tmp_path)
    manifest = write_manifest(tmp_path, spec)
    script = (
        f"mount -t tmpfs -o size=64k tmpfs {disk} && "
        f"{' '.join(COMMAND)} build {manifest} --state {disk}/state; "
        f"code=$?; ls {disk}/state/artifacts {disk}/state/artifacts/recipes 2>/dev/null; exit $code"
    )

    ended = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "bash", "-c", script], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 3, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    assert "space" in ended.stderr
    assert "sha256-" not in ended.stdout
