"""Olive's automatic optimisation for the CPU, in a virtual environment of its own.

`olive auto-opt --precision int8` is what runs here. Its successor `olive optimize --precision int8` always calibrates
an ONNX model on the text of a data set from the Hugging Face hub, with the CUDA provider, so that it fits neither
these models nor a machine without that hub; auto-opt is still there, deprecated.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.build.models import store
from bench.build.peers import Peer

VERSION = "0.13.0"
NAME = f"Olive {VERSION} auto-opt"
REQUIREMENTS = (
    f"olive-ai=={VERSION}",
    "onnxruntime",
    "requests",
)  # requests: olive-ai imports it without asking for it
_INSTALL_SECONDS, _RUN_SECONDS = 1200, 600


def optimized(source: Path) -> Peer:
    """Return what Olive makes of the model at `source`, or why it could not."""
    try:
        command = _command()
        with tempfile.TemporaryDirectory() as folder:
            arguments = ("auto-opt", "--precision", "int8", "--device", "cpu", "--provider", "CPUExecutionProvider")
            out = Path(folder) / "out"
            _call(
                [str(command), *arguments, "-m", str(source), "-o", str(out), "--disable_telemetry"],
                _RUN_SECONDS,
                folder,
            )
            models = sorted(out.rglob("*.onnx"))
            if not models:
                return Peer(NAME, None, "it ended without a model")
            return Peer(NAME, models[0].read_bytes())
    except (OSError, subprocess.SubprocessError) as error:
        return Peer(NAME, None, _in_words(error))


def _command() -> Path:
    """Return Olive's command, installed first where it is missing: about 6 GB, a few minutes."""
    home = store.cache_folder() / f"olive-{VERSION}"
    finished = home / ".installed"
    if not finished.exists():
        print(f"olive: installing {VERSION} into {home}", flush=True)
        shutil.rmtree(home, ignore_errors=True)
        _call([sys.executable, "-m", "venv", str(home)], _INSTALL_SECONDS)
        _call([str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", *REQUIREMENTS], _INSTALL_SECONDS)
        finished.touch()
    return home / "bin" / "olive"


def _call(command: list[str], seconds: int, folder: str | None = None) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds, cwd=folder)


def _in_words(error: Exception) -> str:
    output = getattr(error, "stderr", None) or ""
    last = output.strip().splitlines()[-1:] if isinstance(output, str) else []
    return f"failed: {' '.join(last) or type(error).__name__}"[:200]
