"""Lays out an artifact: the kept models, golden rows to check a replica by, the manifest and the report."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from slipstream_builder.arrays import Array, Rows, count, take
from slipstream_builder.files import digest_file, sha256, write_synced
from slipstream_builder.outcome import BuildReport
from slipstream_builder.report.page import render
from slipstream_builder.search.finalists import Kept
from slipstream_builder.sessions import Session, run
from slipstream_contract import codec
from slipstream_contract.manifest import (
    GOLDEN_FILE,
    MANIFEST_FILE,
    REPORT_HTML_FILE,
    REPORT_JSON_FILE,
    Manifest,
    TensorSpec,
    Variant,
)

GOLDEN_ROWS = 8


def write(
    folder: Path,
    kept: tuple[Kept, ...],
    report: BuildReport,
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
    rows: Rows,
) -> tuple[str, Manifest]:
    """Write the artifact's files into `folder` and return the artifact's digest and manifest."""
    for variant in kept:
        write_synced(folder / _file(variant), variant.model)
    golden = golden_arrays(rows, {variant.outcome.name: variant.session for variant in kept}, outputs)
    with (folder / GOLDEN_FILE).open("wb") as file:
        np.savez(file, **golden)  # type: ignore[arg-type]  # numpy's stub takes the names for its own keyword
    write_synced(folder / REPORT_JSON_FILE, codec.canonical_json(report))
    write_synced(folder / REPORT_HTML_FILE, render(report, None).encode())
    manifest = _manifest(folder, kept, report, inputs, outputs)
    data = codec.canonical_json(manifest)
    write_synced(folder / MANIFEST_FILE, data)
    return sha256(data), manifest


def golden_arrays(rows: Rows, sessions: Mapping[str, Session], outputs: tuple[TensorSpec, ...]) -> dict[str, Array]:
    """Return real rows under `input:NAME`, and what each variant answers under `output:VARIANT:NAME`."""
    sample = take(rows, np.arange(GOLDEN_ROWS) % count(rows))
    arrays = {f"input:{name}": array for name, array in sample.items()}
    for variant, session in sessions.items():
        for spec, array in zip(outputs, run(session, sample), strict=True):
            arrays[f"output:{variant}:{spec.name}"] = array
    return arrays


def _manifest(
    folder: Path,
    kept: tuple[Kept, ...],
    report: BuildReport,
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
) -> Manifest:
    names = [*(_file(variant) for variant in kept), GOLDEN_FILE, REPORT_JSON_FILE, REPORT_HTML_FILE]
    original = next(variant for variant in kept if variant.outcome.name == report.baseline)
    return Manifest(
        name=report.name,
        recipe_digest=report.recipe_digest,
        source_sha256=report.inputs["model"],
        metric=report.gate.metric if report.gate else None,
        inputs=inputs,
        outputs=outputs,
        variants=tuple(_variant(folder, variant, len(original.model)) for variant in kept),
        baseline=report.baseline,
        chosen=report.chosen,
        files=tuple(digest_file(folder / name, folder) for name in sorted(names)),
        tools=report.tools,
        cpu_features=report.cpu_features,
        recipe=report.recipe,
        source_metric=report.source_metric,
    )


def _variant(folder: Path, kept: Kept, original_bytes: int) -> Variant:
    outcome = kept.outcome
    return Variant(
        name=outcome.name,
        file=digest_file(folder / _file(kept), folder),
        techniques=outcome.techniques,
        parameters=outcome.parameters or 0,
        compression_ratio=len(kept.model) / original_bytes,
        latency=kept.latency,
        metric=outcome.metric,
        drop=outcome.drop,
        drop_bound=outcome.drop_bound,
    )


def _file(kept: Kept) -> str:
    return f"{kept.outcome.name}.onnx"
