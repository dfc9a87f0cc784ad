"""Ctrl-C in every phase: all children end, nothing half-built stays, and a later run goes on."""

import json

import pytest

from slipstream_testing.command_line import (
    interrupt,
    processes_mentioning,
    read_until,
    run,
    start,
    write_manifest,
    write_workspace,
)
from slipstream_testing.waiting import eventually

INTERRUPTED = 130

PHASES = [
    pytest.param("fetch", id="while the files are fetched"),
    pytest.param("analyse", id="while the original is analysed"),
    pytest.param("candidate int8", id="while a candidate is built"),
    pytest.param("ReplicasReady", id="when replicas have come up"),
    pytest.param("measuring", id="while the variants are compared"),
    pytest.param("rising and falling load", id="under load"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder for all phases: each run goes on from what the run before it left."""
    folder = tmp_path_factory.mktemp("interrupted")
    write_manifest(folder, write_workspace(folder))
    return folder


@pytest.mark.parametrize("phase", PHASES)
def test_ctrl_c_ends_every_child_and_leaves_nothing_half_built(folder, phase):
    process = start(folder, "up", "agent.yaml", "--plain", "--port", "0", "--load", "--load-seconds", "20")
    read_until(process, phase)

    code, errors = interrupt(process)

    assert code == INTERRUPTED
    assert errors.splitlines() == [
        "slipstream: error: interrupted; all children have ended, and a later run goes on from what was finished"
    ]
    eventually(lambda: not processes_mentioning(str(folder)))
    for artifact in (folder / ".slipstream/small/artifacts").glob("sha256-*"):
        assert (artifact / "manifest.json").exists()


def test_after_all_that_a_run_ends_well_with_a_result_and_a_report(folder):
    ended = run(folder, "up", "agent.yaml", "--plain", "--port", "0", "--load", "--load-seconds", "12")

    assert ended.returncode == 0, ended.stderr
    result = json.loads((folder / ".slipstream/small/result.json").read_text())
    assert result["answered"] > 100 * result["failed"]
    assert (folder / ".slipstream/small/report.html").stat().st_size > 10_000
    assert not processes_mentioning(str(folder))


def test_a_killed_run_takes_its_children_with_it(folder):
    process = start(folder, "up", "agent.yaml", "--plain", "--port", "0")
    read_until(process, "ReplicasReady")

    process.kill()
    process.communicate()

    eventually(lambda: not processes_mentioning(str(folder)))
