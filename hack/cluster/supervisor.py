"""Be the first process of the cluster's own namespaces: set them up, start the components, restart what ends, reap.

When this process is gone, the kernel ends every process of its PID namespace, and with the last one go the mounts, the
interfaces and the firewall rules. So nothing here cleans up: whoever ends this process has cleaned up.
`unshare` runs it with the file that `start.py` wrote; one line on stdin says that the way to the host is there.
"""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from layout import HOST_ADDRESS, INNER, LINK, NODE, NODE_ADDRESS
from mounting import bind, make_shared, mount_new

_COVERED = ("/var/lib", "/var/log")  # node programs write there by fixed names; the host's must stay untouched
_RESTART_SECONDS = 1
# The kubelet sets these for the whole machine unless they read so already: it is shown files that do.
_TUNABLES = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


def main() -> None:
    """Run until killed; the specification names the folders to bind and the components' command lines."""
    specification = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    process_id_on_host = os.readlink("/proc/self")  # still the host's /proc
    _set_up_mounts(specification["binds"])
    print(process_id_on_host, flush=True)
    if not sys.stdin.readline():
        sys.exit("supervisor: the starting process has ended; so do I")
    _set_up_network()
    commands: dict[str, list[str]] = specification["components"]
    _keep_running(commands)


def _set_up_mounts(binds: dict[str, str]) -> None:
    sources = {target: os.open(source, os.O_PATH) for target, source in binds.items()}
    mount_new("proc", "/proc")
    mount_new("tmpfs", "/run", "mode=755")
    for folder in _COVERED:
        upper, work = (INNER / "covers" / folder[1:] / name for name in ("upper", "work"))
        upper.mkdir(parents=True)
        work.mkdir()
        mount_new("overlay", folder, f"lowerdir={folder},upperdir={upper},workdir={work}")
    for target, source in sources.items():
        Path(target).mkdir(parents=True, exist_ok=True)
        bind(f"/proc/self/fd/{source}", target)
        os.close(source)
    for name, value in _TUNABLES.items():
        shown = INNER / "tunables" / name.replace("/", ".")
        shown.parent.mkdir(exist_ok=True)
        shown.write_text(f"{value}\n", encoding="utf-8")
        bind(str(shown), f"/proc/sys/{name}")
    make_shared("/")


def _set_up_network() -> None:
    socket.sethostname(NODE)
    for arguments in (
        "link set lo up",
        f"address add {NODE_ADDRESS}/{LINK.prefixlen} dev eth0",
        "link set eth0 up",
        f"route add default via {HOST_ADDRESS}",
    ):
        subprocess.run(["ip", *arguments.split()], check=True)
    for name in ("ipv4/ip_forward", "bridge/bridge-nf-call-iptables"):
        Path("/proc/sys/net", name).write_text("1\n", encoding="utf-8")


def _keep_running(commands: dict[str, list[str]]) -> None:
    running = {_start(name, command): name for name, command in commands.items()}
    while True:
        process_id, status = os.wait()
        if name := running.pop(process_id, None):
            _say(f"{name} ended with {os.waitstatus_to_exitcode(status)}; starting it again")
            time.sleep(_RESTART_SECONDS)
            running[_start(name, commands[name])] = name


def _start(name: str, command: list[str]) -> int:
    with (INNER / "logs" / f"{name}.log").open("ab") as log:
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        # PID 1 waits for all its children itself, those that it adopts too; so the Popen object is of no use.
        return subprocess.Popen(command, start_new_session=True, **streams).pid


def _say(message: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
