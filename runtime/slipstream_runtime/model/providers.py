"""The execution providers: whether the one asked for can work here, and what to do where it cannot."""

import ctypes
import importlib.metadata
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import onnxruntime as ort

from slipstream_runtime.errors import StartError

logger = logging.getLogger(__name__)

CPU, CUDA, TENSORRT = "cpu", "cuda", "tensorrt"
PROVIDERS = {CPU: "CPUExecutionProvider", CUDA: "CUDAExecutionProvider", TENSORRT: "TensorrtExecutionProvider"}

DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu")

Load = Callable[[str], object]


def require(name: str, load: Load = ctypes.CDLL, available: Sequence[str] | None = None) -> None:
    """Make the libraries of provider `name` ready to use.

    Raises:
        StartError: something it needs is not there; the message says what, and what to do.
    """
    if name == CPU:
        return
    if PROVIDERS[name] not in (ort.get_available_providers() if available is None else available):
        raise StartError(f"--provider {name}: {_installed()} has no {PROVIDERS[name]}; {_remedy()}")
    ort.preload_dlls()  # finds the CUDA libraries of pip's nvidia wheels, which no loader path leads to
    folder = Path(ort.__file__).parent / "capi"
    _open(load, name, "libcuda.so.1", "run on a node with an NVIDIA driver and ask for its accelerator")
    _open(load, name, str(folder / "libonnxruntime_providers_shared.so"), "install onnxruntime-gpu again")
    library = folder / f"libonnxruntime_providers_{name}.so"
    advice = "pip install 'tensorrt-cu13<11'" if name == TENSORRT else "pip install 'onnxruntime-gpu[cuda,cudnn]'"
    _open(load, name, str(library), advice)


def check_placement(name: str, session: Any, origin: str) -> None:
    """Refuse a session that runs elsewhere than on provider `name`; say which nodes do.

    Nodes that compute shapes belong on the CPU and ONNX Runtime puts them there, which is why a few elsewhere are
    reported and only a model of which nothing runs on the provider is refused.

    Raises:
        StartError: the provider is not the session's first, or has none of the model's nodes.
    """
    found = session.get_providers()
    if found[:1] != [PROVIDERS[name]]:
        raise StartError(f"--provider {name}: {origin}: ONNX Runtime chose {', '.join(found)} instead; {_remedy()}")
    if name == CPU:
        return
    nodes = placement(session.get_provider_graph_assignment_info())
    if not nodes.get(PROVIDERS[name]):
        raise StartError(
            f"--provider {name}: {origin}: none of its operators runs there ({_listed(nodes)}); choose a variant made "
            "for the accelerator (float16, or int8 for tensorrt), or --provider cpu"
        )
    elsewhere = {provider: kinds for provider, kinds in nodes.items() if provider != PROVIDERS[name]}
    if elsewhere:
        logger.warning("%s: not all operators run on %s: %s", origin, name, _listed(elsewhere))


def placement(subgraphs: Iterable[Any]) -> dict[str, Counter[str]]:
    """Return how many nodes of each operator each provider was given, from ONNX Runtime's own record."""
    nodes: dict[str, Counter[str]] = {}
    for subgraph in subgraphs:
        kinds = (node.op_type for node in subgraph.get_nodes())
        nodes.setdefault(subgraph.ep_name, Counter()).update(kinds)
    return nodes


def _listed(nodes: dict[str, Counter[str]]) -> str:
    texts = []
    for provider, kinds in nodes.items():
        most = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(5))
        texts.append(f"{provider} has {kinds.total()}: {most}")
    return "; ".join(texts) or "no nodes"


def _open(load: Load, name: str, library: str, advice: str) -> None:
    try:
        load(library)
    except OSError as error:
        # The loader's message begins with the file that is missing, which may be one that `library` needs.
        missing = str(error).split(":", 1)[0].rsplit("/", 1)[-1]
        raise StartError(f"--provider {name}: {missing} is missing beside {_installed()}; {advice}") from error


def _found() -> list[str]:
    names = {found.metadata["Name"] for found in importlib.metadata.distributions()}
    return [name for name in DISTRIBUTIONS if name in names]


def _installed() -> str:
    return " and ".join(f"{name} {importlib.metadata.version(name)}" for name in _found()) or f"ORT {ort.__version__}"


def _remedy() -> str:
    if len(_found()) > 1:
        return "they overwrite each other: uninstall both, then pip install 'slipstream-operator[gpu]'"
    return "pip uninstall onnxruntime, then pip install 'slipstream-operator[gpu]', or use --provider cpu"
