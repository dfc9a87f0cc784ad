"""mosec with the sentence encoder: a batch is padded to its longest sentence, which the mask makes exact."""

import os
from typing import Any

import msgspec
import numpy as np
from common import arguments, open_session
from mosec import Server, Worker

OPTIONS = arguments()


class Request(msgspec.Struct):
    """The body of a request."""

    input_ids: list[int]
    attention_mask: list[int]


class Encoder(Worker):
    """Answers token ids with the sentence's vector."""

    def __init__(self) -> None:
        self._session = open_session(OPTIONS.model)
        self._decode = msgspec.json.Decoder(Request).decode
        self._encode = msgspec.json.Encoder().encode

    def deserialize(self, data: bytes) -> Request:
        """Return the sentence of a body."""
        return self._decode(data)

    def forward(self, data: Any) -> Any:
        """Run one batch; without batching mosec hands over the one request itself."""
        requests = data if isinstance(data, list) else [data]
        longest = max(len(request.input_ids) for request in requests)
        ids, mask = np.zeros((2, len(requests), longest), dtype=np.int64)
        for row, request in enumerate(requests):
            ids[row, : len(request.input_ids)] = request.input_ids
            mask[row, : len(request.input_ids)] = request.attention_mask
        vectors = self._session.run(["sentence_embedding"], {"input_ids": ids, "attention_mask": mask})[0].tolist()
        return vectors if isinstance(data, list) else vectors[0]

    def serialize(self, data: list[float]) -> bytes:
        """Return the answer to one sentence."""
        return self._encode({"sentence_embedding": data})


if __name__ == "__main__":
    os.environ |= {"MOSEC_ADDRESS": "127.0.0.1", "MOSEC_LOG_LEVEL": "warning", "MOSEC_TIMEOUT": "20000"}
    server = Server()
    server.append_worker(Encoder, num=OPTIONS.workers, max_batch_size=OPTIONS.batch, max_wait_time=int(OPTIONS.delay))
    server.run()  # takes --port from the same command line
