"""mosec: a front end in Rust, workers in Python; `/json` and `/binary` each with workers of their own."""

import os
from typing import Any

import msgspec
import numpy as np
from common import arguments, open_session
from mosec import Runtime, Server, Worker

OPTIONS = arguments()


class Request(msgspec.Struct):
    """The body of a JSON request."""

    features: list[float]


class Json(Worker):
    """Answers `{"features": [...]}` with `{"scores": [...]}`."""

    def __init__(self) -> None:
        self._session = open_session(OPTIONS.model)
        self._decode = msgspec.json.Decoder(Request).decode
        self._encode = msgspec.json.Encoder().encode

    def deserialize(self, data: bytes) -> list[float]:
        """Return the row of a body."""
        return self._decode(data).features

    def forward(self, data: list[Any]) -> list[Any]:
        """Run one batch."""
        return self._session.run(["scores"], {"features": np.array(data, dtype=np.float32)})[0].tolist()

    def serialize(self, data: list[float]) -> bytes:
        """Return the answer to one row."""
        return self._encode({"scores": data})


class Binary(Json):
    """Answers raw little-endian float32 with the same."""

    def deserialize(self, data: bytes) -> Any:
        """Return the row of a body."""
        return np.frombuffer(data, dtype=np.float32)

    def forward(self, data: list[Any]) -> list[Any]:
        """Run one batch."""
        return list(self._session.run(["scores"], {"features": np.stack(data)})[0])

    def serialize(self, data: Any) -> bytes:
        """Return the answer to one row."""
        return data.tobytes()


if __name__ == "__main__":
    os.environ |= {"MOSEC_ADDRESS": "127.0.0.1", "MOSEC_LOG_LEVEL": "warning"}
    server = Server()
    kinds = {
        f"/{kind.__name__.lower()}": [
            Runtime(kind, num=OPTIONS.workers, max_batch_size=OPTIONS.batch, max_wait_time=int(OPTIONS.delay))
        ]
        for kind in (Json, Binary)
    }
    server.register_runtime(kinds)
    server.run()  # takes --port from the same command line
