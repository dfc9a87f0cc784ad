"""The protocol's documents about the model, and Triton's form of its configuration. Pure."""

from typing import Any

from slipstream_contract.manifest import TensorSpec
from slipstream_runtime.protocol.encoding import MODEL_VERSION
from slipstream_runtime.rest.pages.served import Served

PLATFORM = "onnx_onnxv1"
EXTENSIONS = ["binary_tensor_data", "parameters", "schedule_policy", "statistics", "model_configuration"]


def server_metadata(version: str) -> dict[str, Any]:
    """Return the protocol's server metadata."""
    return {"name": "slipstream", "version": version, "extensions": EXTENSIONS}


def model_metadata(served: Served) -> dict[str, Any]:
    """Return the protocol's model metadata."""
    return {
        "name": served.model,
        "versions": [MODEL_VERSION],
        "platform": PLATFORM,
        "inputs": [tensor(spec) for spec in served.manifest.inputs],
        "outputs": [tensor(spec) for spec in served.manifest.outputs],
    }


def model_config(served: Served) -> dict[str, Any]:
    """Return the configuration as Triton writes it: with batching, the dimensions leave the batch axis out."""
    batched = served.signature.batched
    config: dict[str, Any] = {
        "name": served.model,
        "platform": "onnxruntime_onnx",
        "backend": "onnxruntime",
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": served.max_rows if batched else 0,
        "input": [_configured(spec, batched) for spec in served.manifest.inputs],
        "output": [_configured(spec, batched) for spec in served.manifest.outputs],
    }
    return config | ({"dynamic_batching": {}} if batched else {})


def repository_index(served: Served, *, ready: bool) -> list[dict[str, str]]:
    """Return Triton's repository index: the one model there is."""
    state = "READY" if ready else "UNAVAILABLE"
    return [{"name": served.model, "version": MODEL_VERSION, "state": state, "reason": ""}]


def tensor(spec: TensorSpec) -> dict[str, Any]:
    """Return one input or output as the protocol writes it."""
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}


def _configured(spec: TensorSpec, batched: bool) -> dict[str, Any]:
    datatype = "TYPE_STRING" if spec.datatype == "BYTES" else f"TYPE_{spec.datatype}"
    return {"name": spec.name, "data_type": datatype, "dims": list(spec.shape[1 if batched else 0 :])}
