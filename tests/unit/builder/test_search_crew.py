"""The processes that build candidates, with stand-ins that crash, hang, talk, and leave children behind."""

import time

import pytest

from slipstream_builder.search import crew as crews
from slipstream_builder.search.crew import Crew, Ended
from slipstream_contract.progress import Progress

WORKERS = {
    "talks": 'print(Progress("talks", 0.5, "half way").to_line(), flush=True)',
    "chatters": 'print("not for us", flush=True)',
    "fails": 'sys.stderr.write("first\\nno layer can be pruned\\n"); sys.exit(1)',
    "crashes": "os.abort()",
    "hangs": "time.sleep(600)",
    "forks": "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); time.sleep(600)",
}


@pytest.fixture
def crew(tmp_path, monkeypatch):
    """A crew whose processes do what the stand-in named by the task file does."""
    head = "import os, subprocess, sys, time; from slipstream_contract.progress import Progress"
    for name, body in WORKERS.items():
        (tmp_path / f"standin_{name}.py").write_text(f"{head}\n{body}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Crew(tmp_path, 2, 1, time.monotonic) as members:

        def start(name, seconds=60.0):
            monkeypatch.setattr(crews, "WORKER", f"standin_{name}")
            members.start(name, tmp_path / "task", time.monotonic() + seconds)
            return members

        yield start


def until_ended(crew):
    news = []
    while not any(isinstance(item, Ended) for item in news):
        news += crew.listen(5.0)
    return news


def test_progress_is_passed_on_and_other_output_is_not(crew):
    until_ended(crew("chatters"))
    news = until_ended(crew("talks"))
    assert news == [Progress("talks", 0.5, "half way"), Ended("talks", 0, "", None)]


def test_a_failure_brings_its_last_words(crew):
    assert until_ended(crew("fails")) == [Ended("fails", 1, "no layer can be pruned", None)]


def test_a_crash_is_told_by_its_signal(crew):
    (ended,) = until_ended(crew("crashes"))
    assert ended.code == -6
    assert ended.stopped is None


@pytest.mark.parametrize("name", ["hangs", "forks"])
def test_what_overruns_is_ended_with_all_that_it_started(crew, name):
    (ended,) = until_ended(crew(name, seconds=0.2))
    assert ended.stopped is not None
    assert "the time budget ran out" in ended.stopped


def test_what_is_stopped_keeps_the_first_reason(crew):
    running = crew("hangs")
    running.stop("hangs", "it lost too much")
    running.stop("hangs", "another")
    (ended,) = until_ended(running)
    assert ended.stopped == "it lost too much"


def test_no_more_run_than_there_are_workers(crew):
    assert crew("hangs").free
    assert not crew("forks").free


def test_hashes_come_in_one_order_in_every_process(tmp_path, crew):
    (tmp_path / "standin_talks.py").write_text("import sys; sys.stderr.write(str(hash('a word')))\n")
    (first,), (second,) = until_ended(crew("talks")), until_ended(crew("talks"))
    assert first.last_words == second.last_words
