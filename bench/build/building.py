"""Our side: a manifest, and `slipstream build` on it, as a user would run it."""

import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench.build import cases
from bench.build.models import store
from bench.shared.memory import PeakMemory
from slipstream_contract import codec
from slipstream_contract.manifest import MANIFEST_FILE, Manifest

_RECORD = "build.json"


@dataclass(frozen=True)
class Cost:
    """What a whole `slipstream build` took: seconds, and the most bytes its processes held at once."""

    seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Built:
    """An artifact's folder and manifest, and what it took."""

    folder: Path
    manifest: Manifest
    cost: Cost

    def model(self, variant: str) -> bytes:
        """Return the ONNX file of a variant."""
        return (self.folder / self.manifest.variant(variant).file.path).read_bytes()


def write_manifest(case: cases.Case, folder: Path) -> Path:
    """Write the AgentDeployment for the model in `folder`, and return its path."""
    document = {
        "apiVersion": "slipstream.dev/v1alpha1",
        "kind": "AgentDeployment",
        "metadata": {"name": case.name},
        "spec": {
            "model": {"uri": f"file:{store.MODEL_FILE}"},
            "validation": {
                "dataset": {"uri": f"file:{store.VALIDATION_FILE}"},
                "metric": case.metric,
                "maxDrop": f"{cases.MAX_DROP:.0%}",
                "confidence": f"{cases.CONFIDENCE:.0%}",
            },
            "compression": {
                "mode": "Auto",
                "dataset": {"uri": f"file:{store.UNLABELLED_FILE}"},
                "budgetSeconds": case.budget_seconds,
            },
            "objective": {"percentile": 99, "latencyMilliseconds": cases.LATENCY_MILLISECONDS},
            "serving": {"resources": {"cpu": "1"}},
        },
    }
    path = folder / "agentdeployment.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def build(case: cases.Case, manifest: Path, keep: bool) -> Built:
    """Run `slipstream build` from nothing; with `keep`, take the artifact of the last run where there is one.

    Raises:
        BenchError: it ended without an artifact.
    """
    state = store.cache_folder() / "builds" / case.name
    record = state / _RECORD
    if not (keep and record.exists()):
        shutil.rmtree(state, ignore_errors=True)
        cost = _run(case, manifest, state)
        record.write_bytes(codec.canonical_json(cost))
    found = next((state / "artifacts").glob(f"*/{MANIFEST_FILE}"), None)
    if found is None:
        raise store.BenchError(f"{case.name}: no artifact below {state}; run without --keep-builds")
    return Built(
        found.parent,
        codec.decode_json(Manifest, found.read_bytes(), str(found)),
        codec.decode_json(Cost, record.read_bytes(), str(record)),
    )


def _run(case: cases.Case, manifest: Path, state: Path) -> Cost:
    command = [sys.executable, "-m", "slipstream_operator", "build", str(manifest), "--state", str(state)]
    began = time.monotonic()
    process = subprocess.Popen(command)
    with PeakMemory(process.pid) as memory:
        try:
            code = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if code:
        raise store.BenchError(f"{case.name}: slipstream build ended with exit code {code}; its own message is above")
    return Cost(time.monotonic() - began, memory.peak_bytes)
