"""A cluster that was taken down, or killed at any point, leaves nothing of itself on the machine."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipstream_testing.machine import Machine, Process, alive, machine_now, processes_of
from slipstream_testing.real_cluster import RealCluster

NUMBER = 7
TAKEN = "198.19.208.0/24"  # of that cluster's pods

# What `up` says as it goes: after each of these lines a blow may fall.
POINTS = ["components are started", "images are loaded", "storage are ready"]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RealCluster]:
    """A cluster of this test alone, beside the one that the other tests share; not started yet."""
    cluster = RealCluster(tmp_path / "cluster", NUMBER)
    yield cluster
    cluster.run("down")


@pytest.fixture
def before(own: RealCluster) -> Machine:
    """The machine without the cluster."""
    own.run("down")
    return machine_now()


def start_until(cluster: RealCluster, point: str) -> subprocess.Popen[str]:
    """Run `up` until it says this."""
    command, environ = cluster.command("up"), cluster.environment
    starting = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert starting.stderr is not None
    said = []
    for line in starting.stderr:
        said.append(line)
        if point in line:
            return starting
    raise AssertionError(f"up never said {point!r}: {''.join(said)}")


def assert_gone(processes: list[Process], before: Machine) -> None:
    assert processes
    assert alive(processes) == []
    assert machine_now() == before


def test_down_ends_every_process_and_leaves_the_machine_as_it_was(own: RealCluster, before: Machine) -> None:
    own.up()
    processes = processes_of(own.process_id)
    assert len(processes) > 12  # the components, and their pods
    assert machine_now().cgroups != before.cgroups

    own.down()

    assert_gone(processes, before)
    assert not own.kubeconfig.exists()


@pytest.mark.parametrize("point", POINTS)
def test_a_first_process_killed_while_it_starts_takes_all_others_with_it(
    own: RealCluster, before: Machine, point: str
) -> None:
    starting = start_until(own, point)
    processes = processes_of(own.process_id)

    os.kill(own.process_id, signal.SIGKILL)
    starting.communicate()

    own.down()
    assert_gone(processes, before)


@pytest.mark.parametrize("point", ["components are started", "node is ready"])
def test_a_start_that_is_killed_is_taken_down_like_any_cluster(own: RealCluster, before: Machine, point: str) -> None:
    starting = start_until(own, point)
    starting.kill()
    starting.communicate()
    processes = processes_of(own.process_id)

    own.down()

    assert_gone(processes, before)


def test_a_start_that_was_killed_goes_on_where_it_stopped(own: RealCluster, before: Machine) -> None:
    starting = start_until(own, "components are started")
    starting.kill()
    starting.communicate()
    first = own.process_id

    own.up()

    assert own.process_id == first
    own.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=10s")


def test_after_a_crash_a_new_cluster_starts(own: RealCluster, before: Machine) -> None:
    starting = start_until(own, "components are started")
    first = own.process_id
    os.kill(first, signal.SIGKILL)
    starting.communicate()

    own.up()

    assert own.process_id != first
    own.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=10s")


def test_a_second_cluster_is_refused_by_naming_the_first(own: RealCluster, before: Machine, tmp_path: Path) -> None:
    starting = start_until(own, "components are started")
    starting.kill()
    starting.communicate()

    refused = RealCluster(tmp_path / "second", NUMBER).run("up")

    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert f"this machine runs a cluster already, from {own.folder}" in line


def test_a_network_that_is_taken_is_refused_by_naming_what_takes_it(own: RealCluster, before: Machine) -> None:
    subprocess.run(["ip", "route", "add", "unreachable", TAKEN], check=True)
    try:
        refused = own.run("up")
    finally:
        subprocess.run(["ip", "route", "delete", "unreachable", TAKEN], check=True)

    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert f"198.19.208.0/20 is taken: there is a route to {TAKEN}" in line
    assert machine_now() == before


def test_whoever_is_not_root_is_told_so(tmp_path: Path) -> None:
    somebody = ["unshare", "--user"]  # a user who is nobody here, but may read what we may
    command = RealCluster(tmp_path).command("--backend=source", "up")

    refused = subprocess.run([*somebody, *command], capture_output=True, text=True, check=False)

    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "needs root: run it with sudo" in refused.stderr
