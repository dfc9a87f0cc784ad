"""BentoML: an adaptive batcher in front of worker processes; run by its own command on the service below."""

import os
import sys
from pathlib import Path

import bentoml
import numpy as np
from common import arguments, open_session

BATCH, WORKERS = int(os.environ.get("SERVER_BATCH", "32")), int(os.environ.get("SERVER_WORKERS", "1"))
LATENCY_MILLISECONDS = 10000
"""Its batcher refuses what it expects to take longer than this; high, so that nothing is refused."""


@bentoml.service(
    workers=WORKERS, traffic={"timeout": 60}, metrics={"enabled": False}, logging={"access": {"enabled": False}}
)
class Small:
    """The model, as BentoML wants a service."""

    def __init__(self) -> None:
        self._session = open_session(os.environ["SERVER_MODEL"])

    @bentoml.api(batchable=True, max_batch_size=BATCH, max_latency_ms=LATENCY_MILLISECONDS)
    def infer(self, features: np.ndarray) -> np.ndarray:
        """Run one batch."""
        return self._session.run(["scores"], {"features": features.astype(np.float32, copy=False)})[0]


def main() -> None:
    """Become `bentoml serve`."""
    options = arguments()
    os.environ |= {
        "SERVER_MODEL": options.model,
        "SERVER_BATCH": str(options.batch),
        "SERVER_WORKERS": str(options.workers),
        "BENTOML_DO_NOT_TRACK": "true",
        "BENTOML_HOME": str(Path(options.folder) / "bentoml"),
    }
    command = Path(sys.executable).with_name("bentoml")
    flags = ["--host", "127.0.0.1", "--port", str(options.port), "--working-dir", str(Path(__file__).parent)]
    os.execv(command, [str(command), "serve", "bentoml_server:Small", *flags])


if __name__ == "__main__":
    main()
