from slipstream_operator.cluster import kinds
from slipstream_operator.cluster.children.metadata import Owner, job_name
from slipstream_operator.cluster.reading import Reading
from slipstream_testing.observations import make_spec, make_summary

OWNER = Owner("shop", "recommender", "uid-1")
OURS = [{"uid": "uid-1", "controller": True, "kind": "AgentDeployment", "name": "recommender"}]
JOB = job_name(OWNER, make_spec().recipe.digest)
COMPLETE = {"conditions": [{"type": "Complete", "status": "True"}]}
KEPT = {"slipstream.dev/build-summary": make_summary().to_json()}


def thing(name, owners=OURS, annotations=None, **more):
    metadata = {"name": name, "uid": f"uid-{name}", "ownerReferences": owners, "annotations": annotations or {}}
    return {"metadata": {**metadata, "creationTimestamp": "2026-01-01T00:00:00Z"}, **more}


def claim(created):
    found = thing("recommender-artifacts")
    found["metadata"]["creationTimestamp"] = created
    return {"recommender-artifacts": found}


def reading(*jobs, deployment=None, pods=(), status=None, **spec):
    by_kind = {kinds.JOB: {job["metadata"]["name"]: job for job in jobs}, kinds.CLAIM: claim("2025-12-31T00:00:00Z")}
    if deployment:
        by_kind[kinds.DEPLOYMENT] = {"recommender": deployment}
    return Reading(OWNER, make_spec(**spec), {"status": status or {}}, by_kind, tuple(pods))


def serves(owners=OURS, **annotations):
    told = {"slipstream.dev/artifact": make_summary().to_json(), "slipstream.dev/replicas": "3", **annotations}
    return thing("recommender", owners, told, spec={"replicas": 9})


def test_replicas_are_what_we_asked_for_whatever_others_made_of_the_count():
    assert reading(deployment=serves()).served().replicas == 3


def test_a_strangers_deployment_and_a_garbled_one_serve_nothing():
    assert reading(deployment=serves(owners=[])).served() is None
    assert reading(deployment=serves(**{"slipstream.dev/artifact": "{"})).served() is None


def test_a_deleted_deployment_is_remembered_by_status_and_job():
    status = {"artifact": {"digest": f"sha256:{'a' * 64}"}, "scaling": {"desiredReplicas": 2}}

    served = reading(thing(JOB, annotations=KEPT), status=status).served()

    assert (served.summary, served.replicas) == (make_summary(), 2)


def test_a_strangers_job_says_nothing():
    assert reading(thing(JOB, owners=[], annotations=KEPT, status=COMPLETE)).build().phase == "Absent"


def test_what_serves_the_current_spec_needs_no_job_to_prove_that_it_was_built():
    assert reading(deployment=serves()).build().phase == "Succeeded"


def on_a_newer_volume(deployment, *jobs, pods=()):
    """Read with a claim that is younger than the Deployment and the Jobs."""
    found = reading(*jobs, deployment=deployment, pods=pods)
    found.by_kind[kinds.CLAIM] = claim("2026-01-02T00:00:00Z")
    return found


def test_what_was_built_into_a_claim_that_is_gone_is_built_again():
    found = reading(thing(JOB, annotations=KEPT, status=COMPLETE))
    assert found.build().phase == "Succeeded"

    del found.by_kind[kinds.CLAIM]
    assert found.build().phase == "Absent"


def replica(started):
    found = thing("ours", [{"uid": "rs", "controller": True, "kind": "ReplicaSet", "name": "recommender-5d9f"}])
    found["status"] = {"conditions": [{"type": "Ready", "status": "True"}]}
    found["metadata"] |= {"labels": {"app.kubernetes.io/component": "runtime"}, "creationTimestamp": started}
    return found


def test_what_serves_is_built_again_when_the_volume_is_newer_and_no_replica_started_from_it():
    deployment = serves()
    deployment["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    deployment["spec"]["template"] = {"metadata": {}}
    before, after = replica("2026-01-01T00:00:05Z"), replica("2026-01-02T00:00:05Z")

    assert on_a_newer_volume(deployment).build().phase == "Absent"
    assert on_a_newer_volume(deployment, pods=[before]).build().phase == "Absent"
    assert on_a_newer_volume(deployment, pods=[after]).build().phase == "Succeeded"
    assert on_a_newer_volume(deployment).artifacts() == ("a" * 64,)


def test_a_build_from_before_the_volume_does_not_bring_a_deleted_deployment_back():
    job = thing(JOB, annotations=KEPT, status=COMPLETE)
    job["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    found = on_a_newer_volume(None, job)
    found.live["status"] = {"artifact": {"digest": f"sha256:{'a' * 64}"}, "scaling": {"desiredReplicas": 2}}

    assert found.served() is None


def test_another_spec_is_built_though_something_serves():
    other = {"uri": "pvc://models/m.onnx", "sha256": "9" * 64}

    assert reading(deployment=serves(), model=other).build().phase == "Absent"


def test_only_pods_under_our_deployment_are_scraped():
    def pod(name, kind):
        owners = [{"uid": "rs", "controller": True, "kind": kind, "name": "recommender-5d9f"}]
        status = {"podIP": "10.0.0.7", "conditions": [{"type": "Ready", "status": "True"}]}
        found = thing(name, owners, status=status)
        found["metadata"]["labels"] = {"app.kubernetes.io/component": "runtime"}
        return found

    targets = reading(pods=[pod("ours", "ReplicaSet"), pod("theirs", "StatefulSet")]).targets()

    assert targets == [("uid-ours", "http://10.0.0.7:8002/metrics")]
