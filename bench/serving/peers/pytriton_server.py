"""PyTriton: NVIDIA's Triton server with its Python backend; speaks the Open Inference Protocol itself."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from common import arguments, open_session
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig


def runner(model: str) -> Any:
    """Return a function that runs one batch in a session of its own; each makes one worker process."""
    opened: list[Any] = []

    @batch
    def infer(features: Any) -> dict[str, Any]:
        if not opened:
            opened.append(open_session(model))
        return {"scores": opened[0].run(["scores"], {"features": features})[0]}

    return infer


def main() -> None:
    """Serve until a signal."""
    options = arguments()
    batcher = DynamicBatcher(max_queue_delay_microseconds=int(options.delay * 1000))
    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=options.port,
        grpc_address="127.0.0.1",
        grpc_port=options.grpc_port,
        allow_metrics=False,
        http_thread_count=options.fronts,
    )
    with Triton(config=config, workspace=str(Path(options.folder) / f"pytriton-{time.time_ns()}")) as triton:
        triton.bind(
            model_name="small",
            infer_func=[runner(options.model) for _ in range(options.workers)],
            inputs=[Tensor(name="features", dtype=np.float32, shape=(64,))],
            outputs=[Tensor(name="scores", dtype=np.float32, shape=(10,))],
            config=ModelConfig(max_batch_size=options.batch, batcher=batcher),
        )
        triton.serve()


if __name__ == "__main__":
    main()
