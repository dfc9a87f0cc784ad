"""Serves the recommender by real replicas, on the CPU and on the GPU, and loads them with single rows."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bench.serving.models import Model, recommender
from bench.shared.folders import BenchError

CONCURRENCY, SECONDS = 256, 8
_READY = re.compile(r"on port (\d+)")


def requests_per_second(providers: Sequence[str]) -> dict[str, float]:
    """Return the single-row requests answered a second, by provider.

    Raises:
        BenchError: a replica does not start, or fails requests.
    """
    with tempfile.TemporaryDirectory() as scratch:
        model = recommender(Path(scratch))
        inputs = Path(scratch) / "inputs.npz"
        names = model.requests[0]
        np.savez(
            inputs,
            allow_pickle=False,
            **{name: np.concatenate([request[name] for request in model.requests]) for name in names},
        )
        return {provider: _rate(model, provider, inputs) for provider in providers}


def _rate(model: Model, provider: str, inputs: Path) -> float:
    with _replica(model, provider) as port:
        done = _python(
            "slipstream_runtime.load",
            f"--url=http://127.0.0.1:{port}",
            f"--model={model.name}",
            f"--inputs={inputs}",
            f"--concurrency={CONCURRENCY}",
            f"--seconds={SECONDS}",
        )
    total = json.loads(done.splitlines()[-1])
    if total["failed"]:
        raise BenchError(f"--provider {provider}: {total['failed']} requests failed; look at the replica's own log")
    return float(total["requests"] / total["seconds"])


@contextmanager
def _replica(model: Model, provider: str) -> Iterator[int]:
    options = ("--variant=original", "--port=0", "--metrics-port=0", "--authentication=none", f"--provider={provider}")
    command = [sys.executable, "-m", "slipstream_runtime", f"--artifact={model.artifact}", f"--model={model.name}"]
    with subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True) as process:
        try:
            yield _port(process)
        finally:
            process.terminate()


def _port(process: subprocess.Popen[str]) -> int:
    line = ""
    for line in process.stderr or ():
        found = _READY.search(line)
        if found:
            return int(found[1])
    raise BenchError(f"the replica did not start: {line.strip()}")


def _python(module: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{module} failed: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout
