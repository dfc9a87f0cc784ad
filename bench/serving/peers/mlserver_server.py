"""MLServer: FastAPI and gRPC in one process, adaptive batching; run by its own command in a folder written here."""

import json
import os
import sys
from pathlib import Path

from common import arguments, open_session
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Small(MLModel):
    """The model, as MLServer wants a custom runtime."""

    async def load(self) -> bool:
        """Open the session."""
        self._session = open_session(self.settings.parameters.uri)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Run one batch."""
        features = NumpyCodec.decode_input(payload.inputs[0])
        scores = self._session.run(["scores"], {"features": features.astype("float32", copy=False)})[0]
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("scores", scores)])


def main() -> None:
    """Write the settings and become `mlserver start`."""
    options = arguments()
    folder = Path(options.folder)
    general = {
        "host": "127.0.0.1",
        "http_port": options.port,
        "grpc_port": options.grpc_port,
        "metrics_endpoint": None,
        "parallel_workers": options.workers if options.workers > 1 else 0,
        "debug": False,
        "use_structured_logging": False,
    }
    model = {
        "name": "small",
        "implementation": "mlserver_server.Small",
        "max_batch_size": options.batch,
        "max_batch_time": options.delay / 1000,
        "parameters": {"uri": options.model},
    }
    (folder / "settings.json").write_text(json.dumps(general))
    (folder / "model-settings.json").write_text(json.dumps(model))
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    command = Path(sys.executable).with_name("mlserver")
    os.execv(command, [str(command), "start", str(folder)])


if __name__ == "__main__":
    main()
