"""The ways to run a model on the GPU; the first is what a user of onnxruntime-gpu writes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnxruntime as ort

from bench.gpu.models import FLOAT16, FLOAT32, INT8, Subject
from slipstream_contract.manifest import FileDigest, LatencyCurve, Variant
from slipstream_runtime.errors import StartError
from slipstream_runtime.model import accelerator
from slipstream_runtime.model.accelerator import Accelerator
from slipstream_runtime.model.providers import CUDA, PROVIDERS, TENSORRT
from slipstream_runtime.model.session import Session
from slipstream_runtime.protocol.signature import Tensors

CAP = 64
PLAIN = "onnxruntime-gpu, session.run"
Run = Callable[[Tensors], Tensors]


@dataclass(frozen=True)
class Way:
    """A named way: our provider, the model's precision, and whether CUDA graphs are tried."""

    name: str
    provider: str
    precision: str
    graphs: bool = False


WAYS = (
    Way("bound buffers", CUDA, FLOAT32),
    Way("bound buffers, CUDA graphs", CUDA, FLOAT32, graphs=True),
    Way("float16, CUDA graphs", CUDA, FLOAT16, graphs=True),
    Way("TensorRT, float16", TENSORRT, FLOAT16),
    Way("TensorRT, int8 (QDQ)", TENSORRT, INT8),
)


def plain(subject: Subject, provider: str = PROVIDERS[CUDA]) -> Run:
    """Return a plain run in float32 on `provider`, TensorFloat-32 off as in ours."""
    options = {"use_tf32": "0"} if provider == PROVIDERS[CUDA] else {}
    session = ort.InferenceSession(subject.models[FLOAT32], providers=[(provider, options)], enable_fallback=0)
    names = [spec.name for spec in subject.signature.inputs]
    return lambda tensors: tuple(session.run(None, dict(zip(names, tensors, strict=True))))


def ours(subject: Subject, way: Way, work: Path) -> Run:
    """Return the runtime's own session for `way`; engines are kept in `work`.

    Raises:
        StartError: the way does not work here, with the reason.
    """
    variant = Variant(way.precision, FileDigest("", 0, ""), (way.precision,), 0, 1.0, LatencyCurve(0, 0, 0, ()))
    found = accelerator.find(way.provider, subject.signature, variant, subject.name, work / "artifact", CAP)
    return opened(subject, way, found)


def opened(subject: Subject, way: Way, found: Accelerator) -> Run:
    """Return the session of `way` on the accelerator `found`.

    Raises:
        StartError: it cannot be opened, or graphs were asked for and cannot be captured.
    """
    device = Accelerator(found.name, found.cap, found.providers, way.graphs, found.device, found.pin)
    session = Session(subject.models[way.precision], subject.signature, 1, f"{subject.name} {way.precision}", device)
    if way.graphs and not session.graphs:
        raise StartError("a CUDA graph of this model cannot be captured")
    return session.run
