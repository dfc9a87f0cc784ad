"""Nothing that Slipstream runs reports to anyone what it runs."""

import os
import subprocess
import sys

import pytest

from slipstream_testing.onnx_models import mlp

OPEN = "import sys, {package}, onnxruntime; onnxruntime.InferenceSession(sys.stdin.buffer.read())"


@pytest.mark.parametrize("package", ["slipstream_runtime", "slipstream_builder"])
def test_onnx_runtime_is_kept_from_reporting_to_its_maker(package, tmp_path):
    # It would keep its reports below HOME until it can send them; continuous integration it leaves alone.
    named = {"CI", "GITHUB_ACTIONS", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"}
    environment = {name: value for name, value in os.environ.items() if name not in named} | {"HOME": str(tmp_path)}
    command = [sys.executable, "-c", OPEN.format(package=package)]
    subprocess.run(command, input=mlp().SerializeToString(), env=environment, check=True, timeout=60)
    assert list(tmp_path.rglob("*")) == []
