"""LitServe: FastAPI in front of worker processes; takes JSON only."""

from typing import Any

import litserve
import numpy as np
import orjson
from common import arguments, open_session
from fastapi import Response


class Api(litserve.LitAPI):
    """Answers `{"features": [...]}` with `{"scores": [...]}`."""

    def __init__(self, model: str, **options: Any) -> None:
        super().__init__(**options)
        self._model = model

    def setup(self, _device: str) -> None:
        """Open the session in the worker."""
        self._session = open_session(self._model)

    def decode_request(self, request: dict[str, Any]) -> Any:
        """Return the row of a parsed body."""
        return np.array(request["features"], dtype=np.float32)

    def predict(self, rows: Any) -> Any:
        """Run one batch."""
        return self._session.run(["scores"], {"features": rows})[0]

    def encode_response(self, output: Any) -> Response:
        """Return the answer to one row."""
        body = orjson.dumps({"scores": output}, option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(body, media_type="application/json")


if __name__ == "__main__":
    chosen = arguments()
    api = Api(chosen.model, max_batch_size=chosen.batch, batch_timeout=chosen.delay / 1000)
    server = litserve.LitServer(
        api, accelerator="cpu", workers_per_device=chosen.workers, fast_queue=True, disable_openapi_url=True
    )
    server.run(
        host="127.0.0.1",
        port=chosen.port,
        num_api_servers=chosen.fronts,
        log_level="error",
        access_log=False,
        generate_client_file=False,
    )
