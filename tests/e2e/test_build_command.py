"""The builder as a process: recipe in, artifact out; stopped, killed, run again."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import onnxruntime as ort
import pytest

from slipstream_builder.artifact.workspace import is_whole
from slipstream_contract import codec
from slipstream_contract.manifest import Manifest
from slipstream_contract.progress import Progress
from slipstream_contract.recipe import Recipe
from slipstream_contract.summary import BuildSummary
from slipstream_testing.onnx_models import write_case

TECHNIQUES = ["Optimize", "QuantizeStatic"]


@pytest.fixture
def arguments(tmp_path):
    """The command line that builds a tiny model with int8 as its one candidate."""
    recipe = {**write_case(tmp_path), "mode": "Manual", "techniques": TECHNIQUES}
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    paths = [
        "--recipe",
        tmp_path / "recipe.json",
        "--store",
        tmp_path / "store",
        "--summary",
        tmp_path / "summary.json",
    ]
    return [sys.executable, "-m", "slipstream_builder", "build", *map(str, paths)]


def finish(arguments):
    return subprocess.run(arguments, capture_output=True, text=True, timeout=300, check=False)


def leftovers(store):
    return sorted(path.name for path in store.iterdir() if path.name.startswith("."))


def test_a_recipe_becomes_an_artifact_that_a_replica_can_check_and_serve(arguments, tmp_path):
    done = finish(arguments)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr

    recipe = codec.decode_json(Recipe, (tmp_path / "recipe.json").read_text(), "recipe")
    stored = BuildSummary.from_json((tmp_path / "store" / "recipes" / f"{recipe.digest}.json").read_text())
    assert stored == BuildSummary.from_json((tmp_path / "summary.json").read_text())
    folder = tmp_path / "store" / f"sha256-{stored.artifact_digest}"
    manifest = codec.decode_json(Manifest, (folder / "manifest.json").read_text(), "manifest")
    assert is_whole(folder)
    assert leftovers(tmp_path / "store") == []
    assert {variant.name for variant in manifest.variants} >= {"optimized"}
    assert (manifest.inputs[0].shape, manifest.inputs[0].datatype) == ((-1, 16), "FP32")

    golden = np.load(folder / "golden.npz", allow_pickle=False)
    for variant in manifest.variants:
        session = ort.InferenceSession(str(folder / variant.file.path), providers=["CPUExecutionProvider"])
        (answer,) = session.run(None, {"x": golden["input:x"]})
        np.testing.assert_allclose(answer, golden[f"output:{variant.name}:logits"], rtol=1e-5, atol=1e-6)

    steps = [progress for line in done.stdout.splitlines() if (progress := Progress.from_line(line))]
    assert [step for step in dict.fromkeys(progress.step for progress in steps) if "candidate" not in step] == [
        "fetch",
        "analyse",
        "select",
        "package",
    ]
    assert steps[-1].fraction == 1.0

    again = finish(arguments)
    assert again.returncode == 0
    assert "reused" in again.stdout
    assert BuildSummary.from_json((tmp_path / "summary.json").read_text()) == stored

    with (folder / "optimized.onnx").open("r+b") as file:
        file.seek(100)
        file.write(b"\0\0\0\0")
    repaired = finish(arguments)
    assert repaired.returncode == 0
    assert "reused" not in repaired.stdout

    page = tmp_path / "report.html"
    reported = BuildSummary.from_json((tmp_path / "summary.json").read_text())
    artifact = tmp_path / "store" / f"sha256-{reported.artifact_digest}"
    command = [sys.executable, "-m", "slipstream_builder", "report", str(artifact), "--out", str(page)]
    assert finish(command).returncode == 0
    html = page.read_text()
    assert html.count("<svg") == 2
    assert "http" not in html.replace("http://www.w3.org/", "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_stops_the_build_and_leaves_nothing_half_built(arguments, tmp_path, number, code):
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        _read_until(process, '"analyse"')
        process.send_signal(number)
        _, error = process.communicate(timeout=120)
    assert process.returncode == code
    assert "Traceback" not in error
    assert "stopped by" in BuildSummary.from_json((tmp_path / "summary.json").read_text()).message
    assert not list((tmp_path / "store").glob(".work-*"))
    assert not list((tmp_path / "store").glob("sha256-*"))


def test_a_killed_build_goes_on_where_it_was_and_its_draft_is_swept(arguments, tmp_path):
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        _read_until(process, '"select"')
        os.kill(process.pid, signal.SIGKILL)
    store = tmp_path / "store"
    assert ".cache" in leftovers(store)
    assert len(leftovers(store)) > 1

    done = finish(arguments)
    assert done.returncode == 0
    assert leftovers(store) == []
    # What the first run finished was not built again: no technique reported from within its candidate.
    assert "calibrated" not in done.stdout.split('"select"')[0].split("judging")[0]


def test_a_full_disk_is_told_in_a_line_and_leaves_nothing_that_looks_whole(arguments, tmp_path):
    # A limit on file sizes stands in for the full disk: the system refuses the write in the same way.
    limited = ["prlimit", "--fsize=3000", *arguments]
    done = finish(limited)
    assert done.returncode == 3, done.stderr
    assert done.stderr.count("\n") == 1
    assert "no space left" in done.stderr
    assert BuildSummary.from_json((tmp_path / "summary.json").read_text()).reason == "OutOfDisk"
    assert not list((tmp_path / "store").glob("sha256-*"))
    assert not list((tmp_path / "store").glob(".work-*"))


def _read_until(process, words):
    for line in process.stdout:
        if words in line:
            return
    pytest.fail(f"the build ended before {words}")
