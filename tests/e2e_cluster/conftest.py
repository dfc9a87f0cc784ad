"""One real cluster for all tests of this folder; each test works in a namespace of its own."""

import os
import subprocess
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from hack.cluster.archives import write_archive

from slipstream_testing import release
from slipstream_testing.onnx_models import write_images, write_tiny
from slipstream_testing.probe_pods import claim
from slipstream_testing.real_cluster import RealCluster
from slipstream_testing.tenant import Tenant
from slipstream_testing.tenant_pods import copying_pod

_CLIENT = Path(__file__).parent / "client" / "steady_client.py"
_FIGURES = pytest.StashKey[dict[str, str]]()
_PROBE_SOURCE = Path(__file__).parent / "probe"
_NUMBERS = count(1)


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[RealCluster]:
    """The cluster of `make cluster`: used if it runs, otherwise started and taken down again."""
    cluster = RealCluster()
    was_up = cluster.is_up()
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        cluster.up()
    yield cluster
    if not was_up:
        cluster.down()


@pytest.fixture(scope="session")
def probe(cluster: RealCluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image of the program that pods of these tests run: see probe/main.go."""
    folder, reference = tmp_path_factory.mktemp("probe"), "slipstream.dev/probe:1"
    environ = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    build = ["go", "build", "-trimpath", "-buildvcs=false", "-o", str(folder / "probe"), "."]
    subprocess.run(build, cwd=_PROBE_SOURCE, env=environ, check=True)
    architecture = subprocess.check_output(["go", "env", "GOARCH"], text=True).strip()
    write_archive(folder / "probe.tar", reference, folder / "probe", architecture)
    cluster.load(folder / "probe.tar")
    return reference


@pytest.fixture
def new_namespace(cluster: RealCluster) -> Iterator[Callable[..., str]]:
    """Make a namespace with these labels; it goes away with the test."""
    made: list[str] = []

    def make(**labels: str) -> str:
        name = f"test-{os.getpid()}-{next(_NUMBERS)}"
        cluster.kubectl("create", "namespace", name)
        made.append(name)
        if labels:
            cluster.kubectl("label", "namespace", name, *(f"{key}={value}" for key, value in labels.items()))
        # The first pod of a namespace needs it.
        cluster.kubectl("wait", "--for=create", "serviceaccount/default", f"--namespace={name}", "--timeout=30s")
        return name

    yield make
    for name in made:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def restricted(new_namespace: Callable[..., str]) -> str:
    """A namespace in which Pod Security's `restricted` is enforced."""
    return new_namespace(**{"pod-security.kubernetes.io/enforce": "restricted"})


@pytest.fixture(scope="session")
def slipstream(cluster: RealCluster) -> Iterator[None]:
    """Slipstream, installed by its chart from this checkout's images."""
    release.uninstall(cluster)
    release.load_images(cluster)
    try:
        release.install(cluster)
        yield
    finally:
        release.uninstall(cluster)


@pytest.fixture(scope="module")
def shop(cluster: RealCluster, slipstream: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    """A namespace that enforces `restricted`, with models and data on the claim `models`, and a client's files."""
    files = tmp_path_factory.mktemp("model")
    write_images(files)
    write_tiny(files)
    tenant = Tenant(cluster.kubectl, f"shop-{os.getpid()}-{next(_NUMBERS)}")
    cluster.kubectl("create", "namespace", tenant.namespace)
    try:
        cluster.kubectl("label", "namespace", tenant.namespace, "pod-security.kubernetes.io/enforce=restricted")
        tenant.wait("serviceaccount/default", "create")
        tenant.upload("files", *sorted(files.iterdir()))
        tenant.upload("client", _CLIENT, files / "inputs.npz", files / "tiny.npz")
        tenant.apply(claim("models"), copying_pod("files", "models"))
        tenant.wait("pod/fill-models", "jsonpath={.status.phase}=Succeeded")
        yield tenant
    finally:
        cluster.kubectl("delete", "namespace", tenant.namespace)


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest) -> dict[str, str]:
    """What tests measure, for the last line of the run."""
    return request.config.stash.setdefault(_FIGURES, {})


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Keep figures out of sight when anything failed."""
    if exitstatus:
        session.config.stash.setdefault(_FIGURES, {}).clear()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Print the figures after everything else."""
    if found := config.stash.get(_FIGURES, {}):
        print("e2e: ok " + "; ".join(f"{name} {value}" for name, value in found.items()))  # noqa: T201
