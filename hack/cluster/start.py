"""Start and end the cluster's processes: one process with its own namespaces, and all the others below it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cgroups
import components
from layout import (
    HOST_ADDRESS,
    HOST_INTERFACE,
    INNER,
    INNER_PROGRAMS,
    INNER_STATE,
    LINK,
    NODE_ADDRESS,
    PODS,
    SERVICES,
    Layout,
)
from preflight import snapshotter
from programs import Programs
from running import Running, forget, record, started_at
from saying import ClusterError

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_STATE_FOLDERS = ("etcd", "kubelet", "containerd", "pod-logs", "volumes")
_NAMESPACES = ("--mount", "--net", "--pid", "--ipc", "--uts")
_END_SECONDS = 30
_POLL_SECONDS = 0.02


def start(layout: Layout, programs: Programs, cni_plugins: Path) -> Running:
    """Start every component in fresh namespaces with an empty state, and connect the host to them."""
    for folder in (layout.state, layout.logs):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    for name in _STATE_FOLDERS:
        (layout.state / name).mkdir()
    components.write_all(layout, snapshotter(layout.state), cni_plugins)
    specification = layout.state / "supervisor.json"
    specification.write_text(json.dumps({"binds": _binds(layout, programs), "components": components.commands()}))
    cgroups.create()
    return _launch(layout, specification)


def end(running: Running | None) -> None:
    """End the cluster's processes, if any, and remove what they leave; works after a crash at any point, too."""
    if running is not None:
        os.kill(running.process_id, signal.SIGKILL)
        _wait_until_gone(running)
    _wait_until_unlinked()
    cgroups.remove()
    forget()


def _binds(layout: Layout, programs: Programs) -> dict[str, str]:
    """What the masked folders show in place of the host's, by target."""
    state = layout.state
    binds = {INNER_STATE: state, Path(INNER, "logs"): layout.logs}
    binds |= {Path("/var/lib/kubelet"): state / "kubelet", Path("/var/lib/containerd"): state / "containerd"}
    binds |= {Path("/var/log/pods"): state / "pod-logs", Path("/var/lib/slipstream"): state / "volumes"}
    binds |= {INNER_PROGRAMS / "control-plane": programs.control_plane, INNER_PROGRAMS / "node": programs.node}
    return {str(target): str(source) for target, source in binds.items()}


def _launch(layout: Layout, specification: Path) -> Running:
    unshare = ["unshare", *_NAMESPACES, "--propagation=private", "--fork", "--kill-child=KILL"]
    command = [*unshare, sys.executable, "-B", str(_SUPERVISOR), str(specification)]
    with (layout.logs / "supervisor.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
        )
    assert process.stdin is not None  # noqa: S101  pipes were asked for
    assert process.stdout is not None  # noqa: S101
    process_id = process.stdout.readline().strip()
    began = started_at(int(process_id)) if process_id else None
    if began is None:
        raise ClusterError(f"the first process has ended: {_last_line(layout.logs / 'supervisor.log')}")
    running = Running(int(process_id), began, str(layout.folder))
    record(running)  # from here on, `down` finds it
    _connect(running.process_id)
    process.stdin.write("go\n")
    process.stdin.close()
    process.returncode = 0  # it is meant to outlive us
    return running


def _connect(process_id: int) -> None:
    """Lay a cable between the host and the cluster; it goes away with the cluster's end of it."""
    for arguments in (
        f"link add {HOST_INTERFACE} type veth peer name eth0 netns {process_id}",
        f"address add {HOST_ADDRESS}/{LINK.prefixlen} dev {HOST_INTERFACE}",
        f"link set {HOST_INTERFACE} up",
        f"route add {PODS} via {NODE_ADDRESS}",
        f"route add {SERVICES} via {NODE_ADDRESS}",
    ):
        done = subprocess.run(["ip", *arguments.split()], capture_output=True, text=True, check=False)
        if done.returncode:
            raise ClusterError(f"cannot connect the host: ip {arguments}: {done.stderr.strip()}")


def _wait_until_gone(running: Running) -> None:
    deadline = time.monotonic() + _END_SECONDS
    while started_at(running.process_id) == running.started:
        if time.monotonic() > deadline:
            raise ClusterError(f"process {running.process_id} does not end: look at /proc/{running.process_id}/stack")
        time.sleep(_POLL_SECONDS)


def _wait_until_unlinked() -> None:
    """The kernel frees a network namespace a moment after its last process."""
    deadline = time.monotonic() + _END_SECONDS
    while Path("/sys/class/net", HOST_INTERFACE).exists():
        if time.monotonic() > deadline:
            raise ClusterError(f"{HOST_INTERFACE} does not go away: something else holds the cluster's namespaces")
        time.sleep(_POLL_SECONDS)


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
