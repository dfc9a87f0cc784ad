"""Calibration by histograms, in bounded memory; the same bytes in every process; the recipe's names."""

import os
import subprocess
import sys
import tracemalloc

import numpy as np
import onnx
import pytest

from slipstream_builder.errors import RecipeError
from slipstream_builder.techniques import catalogue
from slipstream_builder.techniques.apply import apply
from slipstream_builder.techniques.configs import QuantizeRows, QuantizeStatic, QuantizeWeights
from slipstream_builder.techniques.optimize import optimize
from slipstream_builder.techniques.quantization.calibration import calibrate

NAMES = [name for name in catalogue.NAMES.split(", ") if not name.startswith("Prune")]
CHILD = """
import hashlib, sys, numpy, onnx
from slipstream_builder.techniques.apply import TechniqueContext, apply
from slipstream_builder.techniques.catalogue import parse
for case in sys.argv[1:]:
    folder, name = case.split(":")
    model, x = onnx.load(f"{folder}/model.onnx"), numpy.load(f"{folder}/x.npy")
    context = TechniqueContext(model, {"x": x}, "classification", 0, 1, lambda part, text: None)
    print(name, hashlib.sha256(apply(parse(name, True), model, context).SerializeToString()).hexdigest())
"""


@pytest.mark.parametrize("method", ["Percentile", "Entropy"])
def test_histograms_hold_the_activations_of_a_few_rows_at_once(method, make_model, make_context, floats):
    nodes = [("Conv", "x w", "c", {"pads": [1, 1, 1, 1]}), ("GlobalAveragePool", "c", "y", {})]
    model = optimize(make_model(nodes, {"w": floats(64, 1, 3, 3)}, x=[1, 32, 32], y=[64, 1, 1]))
    every_activation = 256 * 64 * 32 * 32 * 4

    context = make_context(model, floats(256, 1, 32, 32))
    tracemalloc.start()
    try:
        ranges = calibrate(model, method, ["Conv"], context, lambda part: None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert "c" in ranges
    assert peak < every_activation / 3


def test_a_percentile_leaves_a_lone_outlier_out(make_mlp, make_context, floats):
    model, x = optimize(make_mlp()), floats(256, 64)
    x[3, 5] = 1000
    context = make_context(model, x)

    reach = {
        method: calibrate(model, method, ["Gemm"], context, lambda part: None)["x"].range_value[1].item()
        for method in ("MinMax", "Percentile")
    }

    assert reach["MinMax"] == 1000
    assert reach["Percentile"] < 1000


def test_every_technique_gives_the_same_bytes_in_every_process(make_mlp, make_conv, floats, tmp_path):
    for name, model, shape in (("mlp", make_mlp(), (64,)), ("conv", make_conv(), (3, 8, 8))):
        (tmp_path / name).mkdir()
        onnx.save(model, tmp_path / name / "model.onnx")
        np.save(tmp_path / name / "x.npy", floats(32, *shape))
    cases = [*(f"{tmp_path}/mlp:{name}" for name in NAMES), f"{tmp_path}/conv:QuantizeStatic"]

    first, second = (
        subprocess.run(
            [sys.executable, "-c", CHILD, *cases],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()
        for seed in ("1", "2")
    )

    assert first == second
    assert len(set(first)) == len(cases)


def test_techniques_print_nothing(make_mlp, make_context, floats, capfd):
    model = make_mlp()
    for name in NAMES:
        apply(catalogue.parse(name, int8_dot=True), model, make_context(model, floats(32, 64)))

    assert capfd.readouterr().out == ""


def test_names_stand_for_techniques_and_their_words_say_what_they_cost():
    assert catalogue.parse("QuantizeStaticEntropy", int8_dot=True) == QuantizeStatic("Entropy")
    assert catalogue.parse("QuantizeRows", int8_dot=False) == QuantizeRows(reduce_range=True)
    assert catalogue.parse("QuantizeWeights4", int8_dot=True) == QuantizeWeights(4)
    with pytest.raises(RecipeError, match="QuantizeWeights3"):
        catalogue.parse("QuantizeWeights3", int8_dot=True)
    words = catalogue.labels((QuantizeStatic("Entropy", reduce_range=True, worst_kept=2), QuantizeRows()))
    assert words == (
        "int8, calibrated (Entropy, 7-bit weights, worst 2 layers in float)",
        "int8, activations quantised row by row",
    )
