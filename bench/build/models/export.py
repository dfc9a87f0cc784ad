"""From a torch module to one ONNX file with a dynamic batch axis, by torch's own exporter."""

import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

OPSET = 18


def export(model: nn.Module, inputs: dict[str, torch.Tensor], output: str, axes: dict[int, str], path: Path) -> None:
    """Write `model`, which takes `inputs` in their order, to `path`; `axes` names every input's dynamic axes."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of packages that nothing here needs
    dimensions: dict[int, Any] = {place: torch.export.Dim(name) for place, name in axes.items()}
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # that inputs share their axes is meant
        program = torch.onnx.export(
            model.eval(),
            tuple(inputs.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=[output],
            dynamic_shapes=(dimensions,) * len(inputs),
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch gave no ONNX program")
    program.save(path, external_data=False)
