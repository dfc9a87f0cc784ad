"""What a session on a GPU is told, from the variant it runs and the device it finds."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnxruntime as ort

from slipstream_contract.manifest import Variant
from slipstream_runtime.errors import StartError
from slipstream_runtime.model import cudart, tensorrt
from slipstream_runtime.model.padded import paddable
from slipstream_runtime.model.providers import CUDA, PROVIDERS, TENSORRT, require
from slipstream_runtime.protocol.signature import Array, Signature

DEVICE = "cuda"

MARGIN_BYTES = 256 << 20
MARGIN_SHARE = 0.1
"""Of the free memory, left outside the arena: cuDNN and cuBLAS take their workspaces, and CUDA graphs theirs."""

Options = dict[str, str]


@dataclass(frozen=True)
class Accelerator:
    """How one variant runs on the GPU. `graphs`: try CUDA graphs, one for each number of rows."""

    name: str
    cap: int
    providers: tuple[tuple[str, Options], ...]
    graphs: bool = False
    device: str = DEVICE
    pin: Callable[[Array], None] | None = None

    def listed(self, *, graphs: bool) -> list[tuple[str, Options]]:
        """Return the providers for ONNX Runtime, in their order."""
        extra = {"enable_cuda_graph": "1"} if graphs else {}
        return [(name, options | extra if name == PROVIDERS[CUDA] else options) for name, options in self.providers]


def find(name: str, signature: Signature, variant: Variant, digest: str, artifact: Path, cap: int) -> Accelerator:
    """Return how `variant` of the artifact with `digest` runs on the GPU, in batches of at most `cap` rows.

    Raises:
        StartError: a library, the driver or the device is missing, or the model does not suit the provider.
    """
    require(name)
    runtime = cudart.load()
    try:
        if runtime is None:
            raise cudart.CudaError("libcudart is missing")
        free, capability = runtime.free_bytes(), runtime.capability()
    except cudart.CudaError as error:
        raise StartError(f"--provider {name}: no usable GPU ({error}); run on a node that has one") from error
    providers = [(PROVIDERS[CUDA], cuda_options(free, fixed=paddable(signature)))]
    if name == TENSORRT:
        versions = (tensorrt.library_version(), str(ort.__version__))
        key = tensorrt.engine_key(digest, variant.name, capability, versions, cap)
        folder = tensorrt.engine_folder(artifact, key)
        providers.insert(0, (PROVIDERS[TENSORRT], tensorrt.options(signature, variant, cap, folder)))
    graphs = name == CUDA and paddable(signature)
    return Accelerator(name, cap, tuple(providers), graphs, DEVICE, runtime.pin)


def cuda_options(free_bytes: int, *, fixed: bool) -> Options:
    """Return the CUDA provider's options. `fixed`: batches come in few shapes, worth searching kernels for.

    TensorFloat-32 is off: it keeps 10 of 23 bits of the factors, and the gate proved the variant without it.
    """
    margin = max(MARGIN_BYTES, int(free_bytes * MARGIN_SHARE))
    return {
        "device_id": "0",
        "gpu_mem_limit": str(max(1, free_bytes - margin)),
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "EXHAUSTIVE" if fixed else "HEURISTIC",
        "use_tf32": "0",
    }
