"""What every peer's server script shares: its options, and a session with the same options as ours.

These scripts run in the peers' own virtual environments, where nothing of this project is installed.
"""

import argparse

import onnxruntime as ort


def arguments() -> argparse.Namespace:
    """Return the options that the benchmark starts every peer with; some mean nothing to some peers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True, help="the ONNX file")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--grpc-port", type=int, default=0)
    parser.add_argument("--folder", default=".", help="a scratch folder")
    parser.add_argument("--workers", type=int, default=1, help="processes that run the model")
    parser.add_argument("--fronts", type=int, default=1, help="processes that speak HTTP, where they can be chosen")
    parser.add_argument("--batch", type=int, default=32, help="the most rows of one batch")
    parser.add_argument("--delay", type=float, default=1.0, help="the longest wait for a fuller batch, milliseconds")
    return parser.parse_args()


def open_session(model: str) -> ort.InferenceSession:
    """Return a session on one thread that does not spin."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
