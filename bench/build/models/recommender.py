"""The film recommender of the examples, trained on MovieLens-100K by the example's own command."""

import subprocess
import sys
from pathlib import Path

from bench.build.models.store import MODEL_FILE, BenchError

_EXAMPLE = Path(__file__).parents[3] / "examples" / "recommender"
SOURCES = (Path(__file__), *(_EXAMPLE / name for name in ("data.py", "metric.py", "network.py", "train.py")))


def make(folder: Path) -> None:
    """Train it into `folder`: about 40 s.

    Raises:
        BenchError: the example's command failed.
    """
    command = [sys.executable, str(_EXAMPLE / "train.py"), "--out", str(folder)]
    if subprocess.run(command, check=False).returncode:
        raise BenchError("examples/recommender/train.py failed; its own message is above")
    (folder / "recommender.onnx").rename(folder / MODEL_FILE)
