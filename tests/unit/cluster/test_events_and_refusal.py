from datetime import UTC, datetime

from slipstream_operator.cluster.children.metadata import Owner
from slipstream_operator.cluster.events import BURST, REFILL_SECONDS, Allowance, Events, document
from slipstream_operator.cluster.refusal import refusal_status
from slipstream_operator.errors import ClusterError
from slipstream_operator.reconcile.desired import Event
from slipstream_testing.kube_double import KubeDouble

OWNER = Owner("shop", "a", "u")
EVENT = Event("Normal", "Scaled", "2 because 300/s")


def test_the_same_words_are_the_same_event_and_other_words_another():
    now = datetime(2026, 11, 23, tzinfo=UTC)

    first, again, other = (document(OWNER, e, "me", now) for e in (EVENT, EVENT, Event("Normal", "Scaled", "3")))

    assert first == again
    assert first["metadata"]["name"] != other["metadata"]["name"]


async def test_a_repeated_event_is_counted():
    kube = KubeDouble(create=[ClusterError("exists", 409)], get=[{"count": 4}])

    await Events(kube, "me").post(OWNER, EVENT)

    assert kube.merged[0]["count"] == 5


async def test_an_event_that_cannot_be_posted_harms_nothing(caplog):
    await Events(KubeDouble(create=[ClusterError("forbidden", 403)]), "me").post(OWNER, EVENT)

    assert "forbidden" in caplog.text


def test_one_reason_cannot_flood_and_does_not_silence_others():
    allowance = Allowance()

    taken = [allowance.take("u", "Scaled", 0.0) for _ in range(100)]

    assert sum(taken) == BURST
    assert allowance.take("u", "Built", 0.0)
    assert allowance.take("u", "Scaled", REFILL_SECONDS)


def test_a_refused_spec_is_told_and_what_serves_is_still_told_of():
    available = {
        "type": "Available",
        "status": "True",
        "reason": "ReplicasReady",
        "message": "1 of 1",
        "lastTransitionTime": "2026-11-23T11:00:00Z",
    }
    live = {"metadata": {"generation": 4}, "status": {"replicas": 1, "conditions": [available]}}

    status = refusal_status(live, "spec.model: wrong", "2026-11-23T12:00:00Z")

    found = {condition["type"]: condition for condition in status["conditions"]}
    assert status["replicas"] == 1
    assert status["observedGeneration"] == 4
    assert found["Available"]["status"] == "True"
    assert (found["Ready"]["reason"], found["ArtifactBuilt"]["message"]) == ("InvalidSpec", "spec.model: wrong")
