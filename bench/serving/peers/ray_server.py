"""Ray Serve: an HTTP proxy in front of replicas, dynamic batching by `serve.batch`; `/` takes JSON and raw float32."""

import os
import signal
from typing import Any

import numpy as np
import orjson
from common import arguments, open_session

# Its own tuning for throughput, read when it is imported. (The other one, its HAProxy front end, cannot be bound to
# loopback alone, so it is left out.)
os.environ |= {"RAY_SERVE_THROUGHPUT_OPTIMIZED": "1", "RAY_USAGE_STATS_ENABLED": "0"}

import ray
from ray import serve
from ray.serve.config import HTTPOptions
from ray.serve.schema import LoggingConfig
from starlette.requests import Request
from starlette.responses import Response

OPTIONS = arguments()
QUIET = LoggingConfig(log_level="ERROR", enable_access_log=False)


@serve.deployment(num_replicas=OPTIONS.workers, max_ongoing_requests=1024, logging_config=QUIET)
class Small:
    """The model, as Ray Serve wants a deployment."""

    def __init__(self, model: str) -> None:
        self._session = open_session(model)

    @serve.batch(max_batch_size=OPTIONS.batch, batch_wait_timeout_s=OPTIONS.delay / 1000)
    async def infer(self, rows: list[Any]) -> list[Any]:
        """Run one batch."""
        return list(self._session.run(["scores"], {"features": np.stack(rows)})[0])

    async def __call__(self, request: Request) -> Response:
        """Answer one request in the form it came in."""
        body = await request.body()
        if request.headers.get("content-type") == "application/octet-stream":
            scores = await self.infer(np.frombuffer(body, dtype=np.float32))
            return Response(scores.tobytes(), media_type="application/octet-stream")
        scores = await self.infer(np.array(orjson.loads(body)["features"], dtype=np.float32))
        body = orjson.dumps({"scores": scores}, option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(body, media_type="application/json")


if __name__ == "__main__":
    ray.init(address="local", include_dashboard=False, log_to_driver=False, num_cpus=4, _temp_dir=OPTIONS.folder)
    serve.start(http_options=HTTPOptions(host="127.0.0.1", port=OPTIONS.port), logging_config=QUIET)
    serve.run(Small.bind(OPTIONS.model), route_prefix="/")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    ray.shutdown()
