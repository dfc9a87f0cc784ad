"""The same recipe gives the same bytes in every process, whatever the order in which it hashes."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import onnx
import pytest

from slipstream_builder.techniques.apply import apply
from slipstream_builder.techniques.configs import PruneChannels, PruneWeights
from slipstream_builder.techniques.training import course

STEPS = 12
PROGRAM = """
import hashlib, sys
import numpy as np, onnx
from slipstream_builder.techniques.apply import TechniqueContext, apply
from slipstream_builder.techniques.configs import PruneChannels, PruneWeights
from slipstream_builder.techniques.training import course

course.FEWEST_STEPS = course.MOST_STEPS = int(sys.argv[3])
model, x = onnx.load(sys.argv[1]), np.load(sys.argv[2])
context = TechniqueContext(model, {"x": x}, "classification", 0, 1, lambda fraction, message: None)
for technique in (PruneChannels(0.5), PruneWeights(0.5)):
    print(hashlib.sha256(apply(technique, model, context).SerializeToString(deterministic=True)).hexdigest())
"""


@pytest.fixture(autouse=True)
def short_course(monkeypatch):
    monkeypatch.setattr(course, "FEWEST_STEPS", STEPS)
    monkeypatch.setattr(course, "MOST_STEPS", STEPS)


def test_another_process_makes_the_same_bytes(make_conv, make_context, floats, tmp_path):
    model, x = make_conv(), floats(60, 3, 8, 8)
    onnx.save(model, tmp_path / "model.onnx")
    np.save(tmp_path / "x.npy", x)
    made = [apply(technique, model, make_context(model, x)) for technique in (PruneChannels(0.5), PruneWeights(0.5))]
    here = [hashlib.sha256(pruned.SerializeToString(deterministic=True)).hexdigest() for pruned in made]

    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "model.onnx"), str(tmp_path / "x.npy"), str(STEPS)]
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    there = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()

    assert there == here
