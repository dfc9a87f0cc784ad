"""Runs the `slipstream` command as a user does: in a folder of its own, as a process of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import yaml

from slipstream_testing.artifacts import mlp

COMMAND = [sys.executable, "-m", "slipstream_operator"]


def write_workspace(folder: Path, items: int = 600) -> dict:
    """Write a small classifier with a validation set into `folder`, and return its manifest's spec."""
    model = mlp(32, 256, 10)
    (folder / "model.onnx").write_bytes(model.proto.SerializeToString())
    random = np.random.default_rng(1)
    features = random.normal(size=(items, 32)).astype(np.float32)
    session = ort.InferenceSession(model.proto.SerializeToString(), providers=["CPUExecutionProvider"])
    best = session.run(None, {"features": features})[0].argmax(axis=1)
    labels = np.where(random.random(items) < 0.1, random.integers(0, 10, items), best)
    np.savez(folder / "valid.npz", features=features, labels=labels.astype(np.int64))
    return {
        "model": {"uri": "model.onnx"},
        "validation": {"dataset": {"uri": "valid.npz"}, "metric": "accuracy", "maxDrop": "2%"},
        "compression": {"mode": "Manual", "techniques": ["Optimize", "QuantizeStatic"]},
        "scaling": {"maxReplicas": 2},
    }


def write_manifest(folder: Path, spec: dict) -> Path:
    """Write the manifest of an AgentDeployment called `small`."""
    file = folder / "agent.yaml"
    head = {"apiVersion": "slipstream.dev/v1alpha1", "kind": "AgentDeployment", "metadata": {"name": "small"}}
    file.write_text(yaml.safe_dump({**head, "spec": spec}))
    return file


def run(folder: Path, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run `slipstream ARGUMENTS` in `folder` to its end."""
    return subprocess.run(
        [*COMMAND, *arguments], cwd=folder, capture_output=True, text=True, timeout=timeout, check=False
    )


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start `slipstream ARGUMENTS` in `folder`, in a process group of its own, its output a pipe of lines."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        bufsize=1,
    )


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """Read the process's output until a line holds `words`, and return that line."""
    seen = []
    for line in process.stdout or ():
        seen.append(line)
        if words in line:
            return line
    raise AssertionError(f"ended without {words!r}; it said: {''.join(seen)}")


def interrupt(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Press Ctrl-C and return the exit code and what went to standard error."""
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


def processes_mentioning(text: str) -> list[str]:
    """Return the command lines of living processes that hold `text`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if text in command:
                found.append(command)
    return found
