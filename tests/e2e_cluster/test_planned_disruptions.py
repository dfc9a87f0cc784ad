"""Planned disruptions at a steady load: a client that never calls twice must not see one of them."""

import itertools
import os
from collections.abc import Callable, Iterator

import pytest

from slipstream_testing import release
from slipstream_testing.manifests import images_agent
from slipstream_testing.real_cluster import RealCluster
from slipstream_testing.steady_load import SteadyLoad
from slipstream_testing.tenant import Tenant
from slipstream_testing.waiting import eventually

DISRUPTIONS = int(os.environ.get("DISRUPTIONS", "10"))
RATE = 40
"""Requests a second: far below what two replicas answer, so that none is refused for want of room."""


class Disruptions:
    """What an administrator or a user does on purpose, each ended when things are calm again."""

    def __init__(self, cluster: RealCluster, shop: Tenant, agent: str) -> None:
        self._cluster, self._shop, self._agent = cluster, shop, agent
        self._memory, self._upgrades = itertools.count(257), itertools.count(1)

    def kinds(self) -> Iterator[Callable[[], None]]:
        """All kinds, again and again."""
        return itertools.cycle((self.rollout, self.pod_delete, self.scale_in, self.operator_upgrade))

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

    def operator_upgrade(self) -> None:
        """A new release of the chart, which replaces all operators."""
        release.upgrade(self._cluster, **{"podAnnotations.upgrade": f"number-{next(self._upgrades)}"})
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
    with SteadyLoad(shop, served, RATE) as load:
        for disrupt in itertools.islice(disruptions.kinds(), DISRUPTIONS):
            disrupt()
        last = load.so_far()

    assert last["failures"] == {}, last["first"]
    assert last["sent"] > DISRUPTIONS * RATE
    figures["planned disruptions"] = f"{DISRUPTIONS}, {last['failed']} of {last['sent']} requests failed"
