"""Every bad model file is refused with one clear line, within limits of time and memory, and leaves nothing behind."""

import os
import resource
import tempfile
import time
from pathlib import Path

import pytest

from slipstream_builder.errors import SourceError
from slipstream_builder.fetching.fetch import Fetched
from slipstream_builder.sources import confinement, loading
from slipstream_contract.summary import EXIT_CODES
from slipstream_testing import bad_models, onnx_models
from slipstream_testing.inspector import Inspector

LIMITS = confinement.Limits(wall_seconds=30, cpu_seconds=4, memory_bytes=1 << 30, copies=8)
CORPUS = bad_models.corpus()


@pytest.fixture(scope="module")
def inspector():
    """A warm process that forks for every file; importing ONNX Runtime once a file would take minutes."""
    started = Inspector()
    yield started
    started.close()


@pytest.fixture
def confined(inspector, monkeypatch, tmp_path):
    """Load bytes as a build does, with work files below `tmp_path/work`."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.setattr(confinement, "_run", inspector.run)
    monkeypatch.setattr(tempfile, "tempdir", str(work))

    def load(data):
        try:
            return loading.load(Fetched(data, "digest"), threads=1, limits=LIMITS)
        finally:
            assert not list(work.iterdir())

    return load


def test_the_corpus_is_large_enough():
    assert len(CORPUS) >= 40


@pytest.mark.parametrize("bad", CORPUS, ids=[bad.name for bad in CORPUS])
def test_a_bad_model_is_refused_in_one_line_within_its_limits(bad, confined, inspector, tmp_path):
    trap = tmp_path / "trap"
    data = bad.make(trap)
    before = time.monotonic()

    with pytest.raises(SourceError) as refused:
        confined(data)

    line = str(refused.value)
    assert line.startswith("model: ")
    assert bad.words in line
    assert "\n" not in line
    assert len(line) < 500
    assert EXIT_CODES[refused.value.reason] == 2
    assert not trap.exists()
    assert time.monotonic() - before < LIMITS.wall_seconds
    assert inspector.used[-1].peak_bytes < LIMITS.memory(len(data), "cpu") + (512 << 20)


def test_an_honest_model_passes_under_the_same_limits(confined):
    assert confined(onnx_models.mlp().SerializeToString()).inputs[0].name == "x"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        pytest.param(
            "os.kill(os.getpid(), signal.SIGSEGV)", "crashes the libraries that open it (SIGSEGV)", id="crash"
        ),
        pytest.param("os.abort()", "crashes the libraries that open it (SIGABRT)", id="abort"),
        pytest.param("os.kill(os.getpid(), signal.SIGKILL)", "MiB of memory", id="killed for want of memory"),
        pytest.param("raise SystemExit(28)", "No space left", id="disk full"),
        pytest.param("signal.pause()", "took more than 1 s", id="sleeps for ever"),
        pytest.param("pass", "crashes the libraries that open it (exit code 0)", id="says nothing"),
    ],
)
def test_whatever_ends_the_child_becomes_one_line(code, words, monkeypatch, tmp_path):
    """A child of two lines stands in for the real one: what is tested is how its end is read."""
    child = tmp_path / "child_that_ends.py"
    child.write_text(f"import os, signal\n{code}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(confinement, "_CHILD", child.stem)
    (tmp_path / "source").write_bytes(b"x")

    with pytest.raises((SourceError, OSError)) as refused:
        confinement.inspect(tmp_path / "source", tmp_path, 1, limits=confinement.Limits(wall_seconds=1))

    assert words in str(refused.value)


def test_the_child_sees_no_credentials(monkeypatch, tmp_path):
    child = tmp_path / "child_that_tells.py"
    child.write_text("import os, pathlib\npathlib.Path(os.environ['HOME'], 'seen').write_text(str(dict(os.environ)))\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setattr(confinement, "_CHILD", child.stem)
    (tmp_path / "source").write_bytes(b"x")

    with pytest.raises(SourceError):
        confinement.inspect(tmp_path / "source", tmp_path, 1)

    assert "hunter2" not in (tmp_path / "seen").read_text()
    assert str(tmp_path) in (tmp_path / "seen").read_text()


COMMAND_CASES = [
    "random_bytes",
    "external_sparse_weight",
    "loop_that_doubles_its_state",
    "pickled_weight",
    "a_zip_bomb",
]


@pytest.mark.parametrize("name", COMMAND_CASES)
def test_the_command_refuses_it_with_exit_code_2_and_leaves_no_artifact(name, case, build, capfd):
    folder, _ = case
    (bad,) = [bad for bad in CORPUS if bad.name == name]
    (folder / "model.onnx").write_bytes(bad.make(folder / "trap"))
    before = set(Path(tempfile.gettempdir()).glob("source-*"))

    code = build()

    error = capfd.readouterr().err
    assert code == 2
    assert error.startswith("slipstream-builder: error: model: ")
    assert error.count("\n") == 1
    assert bad.words in error
    assert not (folder / "trap").exists()
    assert not (folder / "store").exists()
    assert set(Path(tempfile.gettempdir()).glob("source-*")) == before


def symbolic_link(folder):
    (folder / "elsewhere").mkdir()
    (folder / "model.onnx").rename(folder / "elsewhere" / "model.onnx")
    (folder / "inner").mkdir()
    (folder / "inner" / "model.onnx").symlink_to("../elsewhere/model.onnx")
    return folder / "inner" / "model.onnx"


def hard_link(folder):
    os.link(folder / "model.onnx", folder / "linked.onnx")
    return folder / "linked.onnx"


def fifo(folder):
    os.mkfifo(folder / "pipe.onnx")
    return folder / "pipe.onnx"


def device(folder):
    return Path("/dev/zero")


def directory(folder):
    return folder


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (symbolic_link, "symbolic link leads out of"),
        (hard_link, "2 hard links"),
        (fifo, "not a regular file"),
        (device, "not a regular file"),
        (directory, "not a regular file"),
    ],
)
def test_a_path_that_leads_elsewhere_is_refused_by_the_command(place, words, case, build, capfd):
    folder, recipe = case
    recipe["model"]["uri"] = str(place(folder))

    assert build() == 2
    error = capfd.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (folder / "store").exists()


def test_no_inspection_left_a_child_or_a_core_behind(inspector):
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 4 << 20
    assert not list(Path.cwd().glob("core*"))
