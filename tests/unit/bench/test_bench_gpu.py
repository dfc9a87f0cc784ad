"""The GPU benchmark: without a GPU it says so, and its measuring and tables work on the CPU."""

import re

import numpy as np
import pytest
from bench.gpu import __main__ as command
from bench.gpu import contenders, report
from bench.gpu.models import FLOAT16, FLOAT32, INT8, prepared
from bench.gpu.timing import difference, ratio, seconds_in_turn
from bench.shared import page

from slipstream_runtime.model.accelerator import Accelerator
from slipstream_runtime.model.providers import PROVIDERS
from slipstream_testing.artifacts import mlp

CPU = PROVIDERS["cpu"]


@pytest.fixture(scope="module")
def subject():
    rows = {"features": np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)}
    return prepared("tiny", mlp().proto, rows)


def test_without_a_gpu_one_line_says_so(capsys):
    assert command.main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(r"bench.gpu: not measured: --provider cuda: .* has no CUDAExecutionProvider; ", line)


def test_a_model_comes_in_three_precisions_that_agree(subject):
    device = Accelerator("cpu", 64, ((CPU, {}),), device="cpu")
    rows = (subject.rows["features"][:8],)
    expected = contenders.plain(subject, CPU)(rows)
    for precision, most in ((FLOAT32, 1e-6), (FLOAT16, 1e-2), (INT8, 0.1)):
        run = contenders.opened(subject, contenders.Way(precision, "cpu", precision), device)
        assert difference(run(rows), expected) < most


def test_a_table_holds_what_works_and_why_the_rest_does_not(subject):
    device = Accelerator("cpu", 64, ((CPU, {}),), device="cpu")
    bound, graphs = contenders.WAYS[:2]
    runs = {contenders.PLAIN: contenders.plain(subject, CPU), bound.name: contenders.opened(subject, bound, device)}
    table = command.compared(subject, runs, {graphs.name: "cannot | be captured"})
    assert [row.way for row in table.rows] == [contenders.PLAIN, bound.name, graphs.name]
    assert table.rows[0].faster == dict.fromkeys(("1", "8", "32", "64"), 1.0)
    text = report.render(report.Results("2026-01-01", "H200", "a machine.", (table,), {"cuda": 12345.6}))
    assert "| bound buffers, CUDA graphs | - | - | - | - | cannot / be captured |" in text
    assert "12,346 with `--provider cuda`" in text


def test_the_page_has_a_place_for_the_tables():
    assert f"<!-- {report.COMMAND} writes from here -->" in page.PAGE.read_text()


def test_ways_are_timed_in_turn_and_compared_round_by_round():
    order, now = [], iter(range(100))
    runs = {name: lambda tensors, name=name: order.append(name) for name in ("slow", "fast")}
    found = seconds_in_turn(runs, (), rounds=2, clock=lambda: float(next(now)))
    assert order == ["slow"] * 2 + ["fast"] * 2 + ["slow", "fast"] * 2
    assert found == {"slow": (1.0, 1.0), "fast": (1.0, 1.0)}
    assert ratio({"slow": (4.0, 2.0, 9.0), "fast": (1.0, 1.0, 3.0)}, "fast", "slow") == 3.0
