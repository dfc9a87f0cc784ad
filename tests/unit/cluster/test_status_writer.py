import pytest

from slipstream_operator.cluster.status_writer import StatusWriter, should_write
from slipstream_operator.errors import ClusterError
from slipstream_testing.kube_double import KubeDouble


def status(rate="10", message="p99 is 3.0 ms", met="True"):
    return {
        "performance": {"requestsPerSecond": rate},
        "scaling": {"desiredReplicas": 2, "reason": f"{rate}/s"},
        "conditions": [{"type": "ObjectiveMet", "status": met, "reason": "Held", "message": message}],
    }


def live(generation=1, version="1", **more):
    metadata = {"namespace": "shop", "name": "a", "uid": "u", "generation": generation, "resourceVersion": version}
    return {"metadata": metadata, **more}


def test_what_is_already_there_is_not_written():
    assert not should_write(status(), status(), 1000)


def test_moving_figures_are_written_now_and_then():
    assert not should_write(status("10"), status("11", "p99 is 4.0 ms"), 9)
    assert should_write(status("10"), status("11"), 10)


def test_news_is_written_at_once():
    assert should_write(status(), status(met="False"), 0)


async def test_a_conflict_with_another_field_is_tried_again_on_the_newer_object():
    kube = KubeDouble(get=[live(version="2")], apply=[ClusterError("changed", 409), {}])

    await StatusWriter(kube).write(live(), status(), 100)

    assert [call["metadata"]["resourceVersion"] for call in kube.applied] == ["1", "2"]


async def test_a_status_of_an_older_spec_is_not_forced_onto_a_newer_one():
    kube = KubeDouble(get=[live(generation=2)], apply=[ClusterError("changed", 409)])

    await StatusWriter(kube).write(live(), status(), 100)

    assert len(kube.applied) == 1


async def test_a_status_that_conflicts_again_and_again_is_left_to_another_turn():
    kube = KubeDouble(get=[live(version="1")] * 3, apply=[ClusterError("changed", 409)] * 3)

    with pytest.raises(ClusterError, match="changed"):
        await StatusWriter(kube).write(live(), status(), 100)

    assert len(kube.applied) == 3


async def test_a_refusal_is_passed_on():
    kube = KubeDouble(apply=[ClusterError("forbidden", 403)])

    with pytest.raises(ClusterError, match="forbidden"):
        await StatusWriter(kube).write(live(), status(), 100)
