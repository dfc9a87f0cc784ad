"""The builder as a process: recipe in, artifact out; stopped, killed, run again."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from slipstream_builder.artifact.workspace import is_whole
from slipstream_contract import codec
from slipstream_contract.manifest import Manifest
from slipstream_contract.progress import Progress
from slipstream_contract.recipe import Recipe
from slipstream_contract.summary import BuildSummary
from slipstream_testing.command_line import processes_mentioning
from slipstream_testing.onnx_models import write_case
from slipstream_testing.waiting import eventually

TECHNIQUES = ["Optimize", "QuantizeStatic"]


TRAINED = ["PruneWeights50", "Optimize", "QuantizeStatic"]


@pytest.fixture
def arguments(tmp_path):
    """The command line that builds a tiny model with int8 as its one candidate."""
    return _arguments(tmp_path, "store", TECHNIQUES, "--summary", tmp_path / "summary.json")


def _arguments(folder, store, techniques, *more, items=800):
    recipe = {**write_case(folder, items), "mode": "Manual", "techniques": techniques}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    paths = ["--recipe", folder / "recipe.json", "--store", folder / store, *more]
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
        "measure",
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


KILLED_AT = ['"candidate sparse50-int8"', "judging", '"measure"', '"select"', '"package"']


def test_a_build_killed_again_and_again_ends_in_the_models_of_one_that_was_left_alone(tmp_path):
    arguments = _arguments(tmp_path, "store", TRAINED)
    store = tmp_path / "store"
    for words in KILLED_AT:
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            _read_until(process, words)
            os.kill(process.pid, signal.SIGKILL)
        assert all(is_whole(folder) for folder in store.glob("sha256-*"))
        assert len([name for name in leftovers(store) if name.startswith(".work-")]) == 1
        eventually(lambda: not processes_mentioning(str(store)))

    done = finish(arguments)
    assert done.returncode == 0, done.stderr
    assert leftovers(store) == []
    # What the killed runs finished was neither built nor judged again.
    assert "judging" not in done.stdout
    assert "pruning" not in done.stdout

    undisturbed = finish(_arguments(tmp_path, "other", TRAINED, "--work", tmp_path / "work"))
    assert undisturbed.returncode == 0, undisturbed.stderr
    digests = [_candidate_digests(tmp_path / name) for name in ("store", "other")]
    assert digests[0].keys() == {"optimized", "sparse50-int8"}
    assert digests[0] == digests[1]


def test_a_build_killed_while_it_packages_shows_no_half_artifact(arguments, tmp_path):
    store = tmp_path / "store"
    for name in ("golden.npz", "manifest.json"):
        with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and not list(store.glob(f".work-*/artifact/{name}")):
                pass
            process.kill()
        assert all(is_whole(folder) for folder in store.glob("sha256-*"))
    done = finish(arguments)
    assert done.returncode == 0, done.stderr
    assert leftovers(store) == []


def test_a_candidate_whose_process_dies_fails_alone(arguments, tmp_path):
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        _read_until(process, '"candidate int8"')
        (worker,) = _children(process.pid)
        os.kill(worker, signal.SIGKILL)
        _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    (report,) = (tmp_path / "store").glob("sha256-*/report.json")
    candidates = {item["name"]: item for item in json.loads(report.read_text())["candidates"]}
    assert candidates["int8"]["status"] == "failed"
    assert "memory" in candidates["int8"]["reason"]


@pytest.mark.parametrize(
    "most_bytes",
    [
        pytest.param(3000, id="when the model is checked"),
        pytest.param(18000, id="when the report is packaged"),
    ],
)
def test_a_full_disk_is_told_in_a_line_and_leaves_nothing_that_looks_whole(tmp_path, most_bytes):
    arguments = _arguments(tmp_path, "store", TECHNIQUES, "--summary", tmp_path / "summary.json", items=200)
    # A limit on file sizes stands in for the full disk: the system refuses the write in the same way.
    limited = ["prlimit", f"--fsize={most_bytes}", *arguments]
    done = finish(limited)
    assert done.returncode == 3, done.stderr
    assert done.stderr.count("\n") == 1
    assert "no space left" in done.stderr
    assert ('"package"' in done.stdout) == (most_bytes > 3000)
    assert BuildSummary.from_json((tmp_path / "summary.json").read_text()).reason == "OutOfDisk"
    assert not list((tmp_path / "store").glob("sha256-*"))
    assert not list((tmp_path / "store").glob(".work-*"))


def _read_until(process, words):
    for line in process.stdout:
        if words in line:
            return
    pytest.fail(f"the build ended before {words}")


def _candidate_digests(store):
    (report,) = store.glob("sha256-*/report.json")
    return {item["name"]: item["sha256"] for item in json.loads(report.read_text())["candidates"]}


def _children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
