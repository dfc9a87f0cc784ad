"""Triton's own perf_analyzer, unchanged, against a replica over HTTP and gRPC: `python -m bench.perf_analyzer`.

The binary comes out of a wheel of Triton's client, the last that runs with glibc 2.36, and its CUDA library out of
another; neither is installed into this environment. On Debian it also needs `apt-get install libb64-0d`.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from bench.serving.contenders import OURS, Ours
from bench.serving.models import Model, small
from bench.serving.processes import Server
from bench.serving.wires import protocol_json
from bench.shared import folders
from bench.shared.folders import BenchError

REQUIREMENTS = """\
tritonclient==2.48.0 --hash=sha256:7074885798e8a711fedaf94d6dd77f310973fe2ebf29fb2837db350a43e2d6a5
nvidia-cuda-runtime-cu12==12.9.79 --hash=sha256:25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3
"""
BINARY = Path("tritonclient-2.48.0.data/data/bin/perf_analyzer")
CUDA = Path("nvidia/cuda_runtime/lib")
SETTINGS = {"processes": 1, "objective_milliseconds": 2000}
"""One process, since the client takes most of a small machine; and patience, since the client stops at a refusal."""
THROUGHPUT = re.compile(r"throughput: ([0-9.]+) infer/sec, latency ([0-9]+) usec")


def unpacked() -> Path:
    """Return the folder with the binary and its library, fetched first where it is missing.

    Raises:
        BenchError: it cannot be fetched.
    """
    home = folders.root() / "perf-analyzer"
    if (home / "x" / BINARY).exists():
        return home / "x"
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch) / "requirements.txt"
        wanted.write_text(REQUIREMENTS)
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        fetch += ["--dest", scratch, "-r", str(wanted)]
        if subprocess.run(fetch, check=False).returncode:
            raise BenchError("perf_analyzer: could not be downloaded; see pip's words above")
        for wheel in Path(scratch).glob("*.whl"):
            zipfile.ZipFile(wheel).extractall(home / "x")
    (home / "x" / BINARY).chmod(0o755)
    return home / "x"


def measure(home: Path, server: Server, model: Model, header: str, protocol: str, flags: list[str]) -> str:
    """Run it against `server` and return its last line.

    Raises:
        BenchError: it failed; the message ends with its last words.
    """
    port = server.grpc_port if protocol == "grpc" else server.port
    command = [str(home / BINARY), "-m", model.name, "-u", f"127.0.0.1:{port}", "-i", protocol, "-H", header, *flags]
    library = os.environ.get("LD_LIBRARY_PATH", "")
    environment = {**os.environ, "LD_LIBRARY_PATH": f"{home / CUDA}:{library}"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    lines = (done.stdout + done.stderr).strip().splitlines() or ["no reason given"]
    found = [line for line in lines if THROUGHPUT.search(line)]
    if done.returncode or not found:
        raise BenchError(f"perf_analyzer over {protocol}: {lines[-1][:160]}")
    return found[-1].strip()


def main() -> int:
    """Measure both protocols; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.perf_analyzer", description=__doc__)
    parser.add_argument("--concurrency", type=int, default=64, help="requests under way (default: %(default)s)")
    arguments = parser.parse_args()
    flags = [f"--concurrency-range={arguments.concurrency}", "-p", "2000", "-s", "95", "-r", "5"]
    try:
        home = unpacked()
        with tempfile.TemporaryDirectory() as scratch:
            model = small(Path(scratch))
            ours = Ours(OURS, {"json": protocol_json(model.name)}, grpc=True)
            header = ours.headers[0].replace("Authorization", "authorization")  # gRPC's metadata is in lower case
            with ours.serve(model, SETTINGS, Path(scratch) / "replica") as server:
                for protocol, more in (("http", []), ("grpc", []), ("grpc", ["--streaming"])):
                    line = measure(home, server, model, header, protocol, [*flags, *more])
                    print(f"{protocol}{' stream' if more else ''}: {line}", flush=True)
    except (BenchError, OSError, subprocess.TimeoutExpired) as error:
        print(f"perf_analyzer: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
