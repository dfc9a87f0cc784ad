"""One real control plane and one real S3 server for all integration tests; each test works in a place of its own."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from slipstream_testing.control_plane import ControlPlane, provide_binaries
from slipstream_testing.kubelet import Kubelet
from slipstream_testing.s3_server import S3Server, provide_binary

_CRDS = sorted((Path(__file__).parents[2] / "crds").glob("*.yaml"))
_NUMBERS = count(1)


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """etcd, kube-apiserver and kube-controller-manager with our API installed; a first build shows its progress."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        binaries = provide_binaries()
    with ControlPlane(binaries, manifests=_CRDS) as running:
        yield running


@pytest.fixture(scope="session")
def kubelet(control_plane: ControlPlane) -> Kubelet:
    """The only node."""
    return Kubelet(control_plane.api)


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace that nobody else uses; it goes away with the test."""
    name = f"test-{next(_NUMBERS)}"
    control_plane.kubectl("create", "namespace", name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def s3_server(request: pytest.FixtureRequest) -> Iterator[S3Server]:
    """An S3 server that checks signatures; a first build shows its progress."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        binary = provide_binary()
    with S3Server(binary) as running:
        yield running
