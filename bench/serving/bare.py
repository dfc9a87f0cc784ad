"""The model without a server: `python -m bench.serving.bare MODEL.onnx INPUTS.npz --batch 1 --seconds 2`.

Prints JSON: rows a second, and the median seconds of one run, of bare `session.run` calls in a loop; with `--hold`, it
then stays until its input ends, so that its memory can be read.
"""

import argparse
import json
import sys
import time
from statistics import median
from typing import Any

import numpy as np
import onnxruntime as ort


def main() -> None:
    """Run the loop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("inputs")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--hold", action="store_true")
    options = parser.parse_args()
    session = _session(options.model)
    with np.load(options.inputs) as arrays:
        given = {name: np.repeat(arrays[name], options.batch, axis=0) for name in arrays.files}
    outputs = [node.name for node in session.get_outputs()]
    took = _loop(lambda: session.run(outputs, given), options.seconds)
    print(json.dumps({"rows_per_second": options.batch * len(took) / sum(took), "seconds": median(took)}), flush=True)
    if options.hold:
        sys.stdin.read()


def _loop(run: Any, seconds: float) -> list[float]:
    for _ in range(3):
        run()
    took, end = [], time.perf_counter() + seconds
    while (begun := time.perf_counter()) < end:
        run()
        took.append(time.perf_counter() - begun)
    return took


def _session(model: str) -> Any:
    """Return a session with the options that every server here gets."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main()
