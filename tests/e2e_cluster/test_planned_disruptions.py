"""Planned disruptions at a steady load: a client that never calls twice must not see one of them."""

import itertools
import os
from collections.abc import Callable, Iterator

import pytest

from slipstream_testing import release
from slipstream_testing.manifests import images_agent
from slipstream_testing.real_cluster import RealCluster
from slipstream_testing.tenant import Tenant
from slipstream_testing.tenant_pods import steady_pod
from slipstream_testing.waiting import eventually

DISRUPTIONS = int(os.environ.get("DISRUPTIONS", "10"))
RATE = 40
"""Requests a second: far below what two replicas answer, so that none is refused for want of room."""


class Disruptions:
    """What an administrator or a user does on purpose, each ended when things are calm again."""

    def __init__(self, cluster: RealCluster, shop: Tenant, agent: str) -> None:
        self._operators = Tenant(cluster.kubectl, release.NAMESPACE)
        self._shop, self._agent = shop, agent
        self._memory = itertools.count(257)

    def kinds(self) -> Iterator[Callable[[], None]]:
        """All kinds, again and again."""
        return itertools.cycle((self.rollout, self.pod_delete, self.scale_in, self.operator_restart))

    def rollout(self) -> None:
        """New pods for a changed spec."""
        resources = {"cpu": "100m", "memory": f"{next(self._memory)}Mi"}
        before = self._names()
        self._shop.patch(self._agent, serving={"resources": resources})
        eventually(self._names, timeout=120, until=lambda names: not before & names)
        self._calm(2)

    def pod_delete(self) -> None:
        """One replica goes, as when a node is drained."""
        self._shop("delete", "pod", min(self._names()))
        self._calm(2)

    def scale_in(self) -> None:
        """Three replicas become two."""
        for replicas in (3, 2):
            self._shop("scale", "agd", self._agent, f"--replicas={replicas}")
            self._calm(replicas)

    def operator_restart(self) -> None:
        """All operators are replaced, as by an upgrade."""
        self._operators("rollout", "restart", "deployment/slipstream")
        self._operators("rollout", "status", "deployment/slipstream", "--timeout=120s")
        self._calm(2)

    def _names(self) -> set[str]:
        return {pod["metadata"]["name"] for pod in self._shop.replicas(self._agent)}

    def _calm(self, replicas: int) -> None:
        self._shop.settled(self._agent, replicas)


@pytest.fixture(scope="module")
def served(shop: Tenant) -> str:
    scaling = {"mode": "Manual", "replicas": 2}
    shop.apply(images_agent("steady", compression={"mode": "Off"}, scaling=scaling))
    shop.wait("agd/steady", "condition=Ready", seconds=120)
    shop.settled("steady", 2)
    return "steady"


def test_no_request_fails_while_pods_and_operators_are_replaced(cluster, shop, served, figures):
    disruptions = Disruptions(cluster, shop, served)
    shop.apply(steady_pod(served, "client", "steady_client.py", "inputs.npz", RATE))
    shop.follow(f"steady-{served}", lambda lines: lines and lines[-1]["answered"] > RATE, 60)

    for disrupt in itertools.islice(disruptions.kinds(), DISRUPTIONS):
        disrupt()

    before = shop.follow(f"steady-{served}", bool, 5)[-1]["sent"]
    last = shop.follow(f"steady-{served}", lambda lines: lines[-1]["sent"] > before + RATE, 30)[-1]
    shop("delete", "pod", f"steady-{served}")
    assert last["failures"] == {}
    assert last["sent"] > DISRUPTIONS * RATE
    figures["planned disruptions"] = f"{DISRUPTIONS}, {last['failed']} of {last['sent']} requests failed"
