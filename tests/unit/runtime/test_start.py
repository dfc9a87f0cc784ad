"""A replica that cannot serve says why in one line and exits with 2."""

import socket
import subprocess

import numpy as np
import pytest

from slipstream_testing.artifacts import mlp, write_artifact
from slipstream_testing.replicas import arguments


def refused(artifact, **options):
    result = subprocess.run(arguments(artifact, **options), check=False, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("slipstream-runtime: ")
    return line


@pytest.fixture
def folder(tmp_path):
    write_artifact(tmp_path, mlp())
    return tmp_path


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("file", ["original.onnx", "golden.npz"])
def test_an_altered_file_is_refused(folder, file):
    flip_a_byte(folder / file)
    line = refused(folder)
    assert f"{folder / file}: differs from the manifest's digest" in line


@pytest.mark.parametrize("file", ["original.onnx", "golden.npz", "manifest.json"])
def test_a_missing_file_is_named(folder, file):
    (folder / file).unlink()
    assert str(folder / file) in refused(folder)


def test_a_truncated_manifest_is_refused(folder):
    path = folder / "manifest.json"
    path.write_bytes(path.read_bytes()[:-10])
    assert "manifest.json: not JSON" in refused(folder)


def test_an_unknown_variant_names_those_there_are(folder):
    assert "there are original" in refused(folder, variant="int8")


def test_a_file_outside_the_artifact_is_never_opened(folder):
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"original.onnx"', '"../original.onnx"'))
    assert "lies outside the artifact" in refused(folder)


def test_golden_outputs_that_differ_are_refused(tmp_path, monkeypatch):
    savez = np.savez

    def wrong(path, **arrays):
        savez(path, **{key: value * 1.01 if key.startswith("output:") else value for key, value in arrays.items()})

    monkeypatch.setattr(np, "savez", wrong)
    write_artifact(tmp_path, mlp())
    assert "gives another 'scores' here" in refused(tmp_path)


def test_a_port_in_use_is_named(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"--port: cannot listen on 127.0.0.1:{port}" in refused(folder, port=port)
        assert f"--metrics-port: cannot listen on 127.0.0.1:{port}" in refused(folder, metrics_port=port)


def test_a_descriptor_that_is_no_listening_socket_is_refused(folder):
    assert "--socket-fd: descriptor 77" in refused(folder, socket_fd=77)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"threads": -1}, "--threads: must be at least 0"),
        ({"objective_percentile": "all"}, "--objective-percentile: must be a number"),
        ({"port": "http"}, "--port"),
        ({"colour": "red"}, "unrecognized arguments: --colour=red"),
    ],
)
def test_bad_options_are_named(folder, options, words):
    assert words in refused(folder, **options)


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_provider_that_is_not_there_is_never_replaced_by_another(folder, provider):
    assert f"--provider {provider}: onnxruntime " in refused(folder, provider=provider)
