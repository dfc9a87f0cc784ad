"""Opens a source model, cleans it, frees its batch axis and runs it: only ever called in the confined child process."""

import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import onnx
import onnx.inliner
from google.protobuf.message import DecodeError

from slipstream_builder import sessions
from slipstream_builder.arrays import Array, Rows
from slipstream_builder.errors import SourceError
from slipstream_builder.sources import archive, batching, kinds, rows, safety, stored, visiting
from slipstream_builder.sources.agreement import difference, tolerance
from slipstream_builder.sources.finding import MODEL, Finding
from slipstream_builder.sources.wording import line, raise_if_out_of_memory
from slipstream_contract.manifest import TensorSpec
from slipstream_contract.recipe import Accelerator


@dataclass(frozen=True)
class Opened:
    """A model that opens and runs batches."""

    proto: onnx.ModelProto
    session: sessions.Session
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True)
class Opener:
    """Opens models as they will be served, from a file, since a copy in memory would be one more."""

    folder: Path
    threads: int
    accelerator: Accelerator

    def __call__(self, proto: onnx.ModelProto) -> Opened:
        """Return `proto` opened.

        Raises:
            SourceError: ONNX Runtime cannot, or an input or output is no tensor of numbers.
        """
        try:
            session = sessions.open_session(self.write(proto), self.threads, self.accelerator)
        except Exception as error:  # ONNX Runtime raises a family of its own; all mean the same here
            raise_if_out_of_memory(error)
            raise SourceError(f"model: ONNX Runtime cannot open it ({line(error)}); export it again") from error
        try:
            return Opened(proto, session, sessions.input_specs(session), sessions.output_specs(session))
        except KeyError as error:
            raise SourceError(
                f"model: an input or output is {error.args[0]}; only tensors of numbers are served (not bfloat16, not "
                "strings): cast them in the model, or export it with other types"
            ) from None

    def write(self, proto: onnx.ModelProto) -> Path:
        """Write `proto` over the model that was written before, and return its path."""
        path = self.folder / MODEL
        path.write_bytes(proto.SerializeToString(deterministic=True))
        return path


def inspect(source: Path, opener: Opener) -> Finding:
    """Return what the file at `source` is; a fit model stays where `opener` wrote it, cleaned, with a free batch axis.

    Raises:
        SourceError: it is not fit to build from.
    """
    if kinds.of(source) == "archive":
        return _inspect_program(source, opener)
    opened, notes = _accepted(_parsed(source), opener)
    return Finding(inputs=opened.inputs, outputs=opened.outputs, notes=notes)


def _inspect_program(source: Path, opener: Opener) -> Finding:
    with archive.opened(source) as held:
        content = stored.read(held)
        # torch takes seconds to import, and only an honest program needs it.
        from slipstream_builder.sources import torch_program  # noqa: PLC0415

        loaded = torch_program.load(held, content)
    opened, notes = _accepted(torch_program.convert(loaded), opener)
    original = loaded.runner()
    sample = rows.synthetic_rows(opened.inputs, loaded.batch(), seed=0)
    try:
        expected = original(sample)
    except Exception as error:
        raise_if_out_of_memory(error)
        raise SourceError(f"model: torch cannot run the program ({line(error)}); export it again") from error
    found = _agreement(expected, sessions.run(opened.session, sample), "the torch program")
    note = f"ONNX made from the torch program answers as it does, within {found:.1g} of its largest output"
    return Finding(inputs=opened.inputs, outputs=opened.outputs, agreement=found, notes=(note, *notes))


def _parsed(source: Path) -> onnx.ModelProto:
    model = onnx.ModelProto()
    try:
        # Mapped, the file needs no memory of its own beside the model made of it.
        with (
            source.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
            memoryview(content) as view,
        ):
            model.ParseFromString(cast("bytes", view))  # any buffer will do, whatever its stubs say
    except DecodeError as error:
        raise SourceError(
            "model: not ONNX, or truncated; copy it again, or export it with torch.onnx.export"
        ) from error
    if not model.ir_version or not model.graph.node:
        raise SourceError("model: not ONNX (no graph in it); export it with torch.onnx.export")
    return model


def _accepted(proto: onnx.ModelProto, opener: Opener) -> tuple[Opened, tuple[str, ...]]:
    safety.check(proto)
    _strip(proto)
    if proto.functions:
        proto = onnx.inliner.inline_local_functions(proto)
    try:
        onnx.checker.check_model(opener.write(proto))
    except Exception as error:  # the checker raises its own error, and protobuf's on odd fields
        raise_if_out_of_memory(error)
        raise SourceError(f"model: not valid ONNX ({line(error)}); export it again") from error
    fixed = batching.fixed_batch(proto)
    expected = _answers_of_fixed(proto, fixed, opener)
    batching.free(proto)
    opened, mended = _batched(proto, fixed, expected, opener)
    if fixed is None and not mended:
        return opened, ()
    return opened, (f"the model was exported for a batch of {fixed or 1}; its batch axis was freed and checked",)


def _answers_of_fixed(proto: onnx.ModelProto, fixed: int | None, opener: Opener) -> tuple[Rows, list[Array]] | None:
    """Return rows and the answers of the model as exported, for a batch of the one size it takes."""
    if fixed is None:
        return None
    opened = opener(proto)
    sample = rows.synthetic_rows(opened.inputs, fixed, seed=0)
    try:
        return sample, sessions.run(opened.session, sample)
    except Exception as error:
        raise_if_out_of_memory(error)
        raise SourceError(f"model: it cannot run ({line(error)}); export it again") from error


def _batched(
    proto: onnx.ModelProto, fixed: int | None, expected: tuple[Rows, list[Array]] | None, opener: Opener
) -> tuple[Opened, bool]:
    """Return the model as it is, if it takes batches, or the first mended copy that does and answers the same."""
    problem, opened = _tried(proto, expected, opener)
    if opened is not None:
        return opened, False
    for mended in batching.mends(proto, fixed or 1):
        _, opened = _tried(mended, expected, opener)
        if opened is not None:
            return opened, True
    raise SourceError(problem)


def _tried(
    proto: onnx.ModelProto, expected: tuple[Rows, list[Array]] | None, opener: Opener
) -> tuple[str, Opened | None]:
    try:
        opened = opener(proto)
        problem = rows.trouble(opened.session, opened.inputs, opened.outputs)
        if problem is not None:
            return f"model: {problem}", None
        if expected is not None:
            sample, answers = expected
            _agreement(answers, sessions.run(opened.session, sample), "the batch it was exported for")
    except SourceError as error:
        return str(error), None
    return "", opened


def _agreement(expected: list[Array], got: list[Array], origin: str) -> float:
    found = difference(expected, got)
    if not found <= tolerance(expected):
        raise SourceError(
            f"model: its ONNX answers otherwise than {origin} (they differ by {found:.2g}, at most "
            f"{tolerance(expected):.2g} is rounding); export it to ONNX yourself, with a dynamic first axis "
            "(dynamic_shapes), and compare"
        )
    return found


def _strip(proto: onnx.ModelProto) -> None:
    """Drop what no inference needs: training graphs, and texts that exporters fill with traces and paths."""
    del proto.training_info[:]
    del proto.metadata_props[:]
    proto.ClearField("doc_string")
    for graph, _ in visiting.graphs(proto):
        graph.ClearField("doc_string")
        del graph.metadata_props[:]
        for value in [*graph.input, *graph.output, *graph.value_info]:
            value.ClearField("doc_string")
            del value.metadata_props[:]
    for node in visiting.nodes(proto):
        node.ClearField("doc_string")
        del node.metadata_props[:]
