"""Who is measured, how each is started, and which settings are tried for it."""

import http.client
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.serving import installing, wires
from bench.serving.models import VARIANT, Array, Model, Tensors
from bench.serving.processes import Server, free_port, serving
from bench.serving.wires import Wire
from bench.shared.folders import BenchError
from slipstream_contract.keys import accepting_line
from slipstream_contract.serving import ServingOptions

OURS = "Slipstream"
_KEY = "bench-0f2c6d9a4b7e4b0c8d3a1e5f"  # of a server that lives for seconds on loopback
_TOLERANCE = 1e-3
_ANSWER_SECONDS = 10

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Contender:
    """A server: its `wires` by name, and the `settings` among which the best is taken by trying each."""

    name: str
    wires: Mapping[str, Wire]
    settings: tuple[Settings, ...] = ({},)
    headers: tuple[str, ...] = ()
    grpc: bool = False

    def serve(self, model: Model, settings: Settings, folder: Path) -> AbstractContextManager[Server]:
        """Run it with `model` until the block ends.

        Raises:
            BenchError: it cannot be installed or started.
        """
        raise NotImplementedError

    def answer(self, port: int, wire: Wire, tensors: Tensors) -> Array:
        """Ask once, and return the first output, float32 [values].

        Raises:
            BenchError: the answer is no answer.
        """
        own, body = wire.encode(tensors)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_SECONDS)
        try:
            pairs = (line.split(": ", 1) for line in (*own, *self.headers))
            connection.request("POST", wire.path, body, dict(pairs))
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != 200:
                raise BenchError(f"{self.name}: answered {answer.status}: {content[:120]!r}")
            return wire.decode(content)
        except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
            raise BenchError(f"{self.name}: gave no answer ({type(error).__name__}: {error})") from error
        finally:
            connection.close()

    def ready(self, port: int, tensors: Tensors) -> bool:
        """Return whether it answers by its first wire."""
        try:
            self.answer(port, next(iter(self.wires.values())), tensors)
        except BenchError:
            return False
        return True

    def check(self, port: int, wire: Wire, tensors: Tensors, wanted: Array) -> None:
        """Raise unless it answers as the bare session does.

        Raises:
            BenchError: it does not.
        """
        found = self.answer(port, wire, tensors).reshape(-1)
        if found.shape != wanted.shape or not np.allclose(found, wanted, rtol=_TOLERANCE, atol=_TOLERANCE):
            raise BenchError(f"{self.name}: answers other numbers than the bare session")


@dataclass(frozen=True)
class Ours(Contender):
    """The runtime, as the operator starts it: with a key, and on real artifact folders."""

    headers: tuple[str, ...] = (f"Authorization: Bearer {_KEY}",)

    def serve(self, model: Model, settings: Settings, folder: Path) -> AbstractContextManager[Server]:
        """Run it until the block ends; `settings` are ServingOptions."""
        folder.mkdir(parents=True, exist_ok=True)
        keys = folder / "keys"
        keys.write_text(f"{accepting_line('bench', _KEY)}\n")

        def command(port: int, grpc_port: int) -> Sequence[str]:
            chosen: dict[str, Any] = {
                "grpc_port": grpc_port if self.grpc else -1,
                "metrics_port": free_port(),
                "keys_file": str(keys),
            }
            chosen |= {"threads": 1, "processes": 0, **settings}
            options = ServingOptions(str(model.artifact), VARIANT, model.name, port=port, **chosen)
            return [sys.executable, "-m", "slipstream_runtime", *options.to_arguments()]

        found = {"PYTHONPATH": str(installing.compiled_runtime())}
        return serving(self.name, command, lambda port: self.ready(port, model.requests[0]), folder, found)


@dataclass(frozen=True)
class Fixed(Contender):
    """What answers every request with the bytes of `answer_file`: nothing on the same loop is faster."""

    answer_file: Path = Path()
    processes: int = 1

    def serve(self, model: Model, settings: Settings, folder: Path) -> AbstractContextManager[Server]:
        """Run it until the block ends."""

        def command(port: int, grpc_port: int) -> Sequence[str]:
            return [sys.executable, "-m", "bench.serving.fixed", str(port), str(self.answer_file), str(self.processes)]

        root = str(Path(__file__).resolve().parents[2])
        return serving(
            self.name, command, lambda port: self.ready(port, model.requests[0]), folder, {"PYTHONPATH": root}
        )


@dataclass(frozen=True)
class Peer(Contender):
    """A server from PyPI in an environment of its own; `script` is below peers/."""

    package: str = ""
    script: str = ""
    python: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @contextmanager
    def serve(self, model: Model, settings: Settings, folder: Path) -> Iterator[Server]:
        """Run it until the block ends; `settings` are options of its script."""
        interpreter = installing.installed(self.package, self.python)
        flags = [f"--{name}={value}" for name, value in settings.items()]
        start = [str(interpreter), str(installing.PEERS / self.script), "--model", str(model.file), *flags]

        def command(port: int, grpc_port: int) -> Sequence[str]:
            return [*start, "--port", str(port), "--grpc-port", str(grpc_port), "--folder", str(folder)]

        # Its packages are its own: nothing of this environment may leak in.
        clean = {"PYTHONPATH": "", "VIRTUAL_ENV": "", **self.environment}
        with serving(self.name, command, lambda port: self.ready(port, model.requests[0]), folder, clean) as server:
            yield server


def folder_name(contender: Contender) -> str:
    """Return what the contender's scratch folder is called: short, and without spaces."""
    return contender.name.split()[0].lower()


def words(settings: Settings) -> str:
    """Return the settings in words, such as `workers 2, batch 32`."""
    return ", ".join(f"{name} {value}" for name, value in settings.items()) or "its own choice"


def _grid(**choices: tuple[Any, ...]) -> tuple[Settings, ...]:
    grid: list[dict[str, Any]] = [{}]
    for name, values in choices.items():
        grid = [{**before, name: value} for before in grid for value in values]
    return tuple(grid)


def for_small(name: str) -> tuple[Contender, ...]:
    """Return all contenders for the small model called `name`; ours first."""
    protocol = {"json": wires.protocol_json(name), "binary": wires.protocol_binary(name)}
    return (
        Ours(OURS, protocol, grpc=True),
        Peer(
            "mosec",
            {"json": wires.named_json("/json"), "binary": wires.raw("/binary")},
            _grid(workers=(1, 2), batch=(32, 64), delay=(1,)),
            package="mosec",
            script="mosec_server.py",
        ),
        Peer(
            "PyTriton",
            protocol,
            _grid(workers=(1, 2), batch=(64,), delay=(0, 0.5), fronts=(8,)),
            grpc=True,
            package="pytriton",
            script="pytriton_server.py",
            python=installing.SYSTEM_PYTHON,
        ),
        Peer(
            "LitServe",
            {"json": wires.named_json("/predict")},
            _grid(workers=(1, 2), fronts=(1, 2), batch=(32,), delay=(1,)),
            package="litserve",
            script="litserve_server.py",
        ),
        Peer(
            "MLServer",
            {"json": protocol["json"]},
            _grid(workers=(1,), batch=(32, 64), delay=(1, 5)),
            grpc=True,
            package="mlserver",
            script="mlserver_server.py",
        ),
        Peer(
            "BentoML",
            {"json": wires.named_json("/infer", None, rows=True)},
            _grid(workers=(1, 2), batch=(32, 64)),
            package="bentoml",
            script="bentoml_server.py",
        ),
        Peer(
            "Ray Serve",
            {"json": wires.named_json("/"), "binary": wires.raw("/")},
            _grid(workers=(1, 2), batch=(32,), delay=(5,)),
            package="ray",
            script="ray_server.py",
        ),
    )


def for_encoder(name: str) -> tuple[Contender, ...]:
    """Return ours and mosec for the sentence encoder called `name`; latency matters less than throughput."""
    embedding = "sentence_embedding"
    return (
        Ours(OURS, {"json": wires.protocol_json(name)}, ({"objective_milliseconds": 4000},)),
        Peer(
            "mosec",
            {"json": wires.named_json("/inference", embedding)},
            _grid(workers=(1, 2), batch=(1, 8, 32), delay=(10,)),
            package="mosec",
            script="mosec_encoder.py",
        ),
    )


def ours(name: str, settings: Settings, wire: str = "json") -> Ours:
    """Return our runtime alone with these options, asked in JSON or in binary."""
    made = {"json": wires.protocol_json, "binary": wires.protocol_binary}[wire]
    return Ours(OURS, {wire: made(name)}, (settings,))
