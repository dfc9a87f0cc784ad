"""What must hold after every turn and whenever nothing changes any more."""

import json

from slipstream_contract import names
from slipstream_contract.summary import BuildSummary
from slipstream_operator.cluster.children.metadata import ANNOTATION_FAILED, ANNOTATION_REPLICAS
from slipstream_testing.states import pods
from slipstream_testing.states.cluster import MadeUpCluster
from slipstream_testing.states.controllers import job_over
from slipstream_testing.states.model import Expected, Model, owner_of
from slipstream_testing.states.store import Document, Place, controller_uid
from slipstream_testing.states.wishes import parsed


def after_turn(cluster: MadeUpCluster, model: Model, before: Document, ended_well: bool) -> None:
    """Hold the AgentDeployment, which was `before` when the turn began, to what holds at any time."""
    name = before["metadata"]["name"]
    live = cluster.agent(name)
    if live is None:
        return
    _status_is_honest(model, live)
    _one_build_at_most(cluster, live)
    if ended_well:
        _replicas_are_in_bounds(cluster, before)
    _what_serves_was_wanted(cluster, model, before)


def nothing_secret_is_told(cluster: MadeUpCluster, written: list[tuple[str, Place]]) -> None:
    """No token is in what was written, be it status, event or child."""
    tokens = [secret["stringData"][names.TOKEN_FILE] for secret in cluster.store.of_kind("Secret")]
    for _, (kind, name) in written:
        document = cluster.store.find(kind, name)
        if document is not None and kind != "Secret":
            text = json.dumps(document)
            assert not any(token in text for token in tokens), f"{kind} {name} tells a token"


def _status_is_honest(model: Model, live: Document) -> None:
    status, history = live.get("status", {}), model.history(live)
    if not status:
        return
    observed = status["observedGeneration"]
    assert history.observed <= observed <= live["metadata"]["generation"], (history.observed, observed)
    history.observed = observed
    spoken = {condition["observedGeneration"] for condition in status["conditions"]}
    assert spoken == {observed}, spoken


def _one_build_at_most(cluster: MadeUpCluster, live: Document) -> None:
    jobs = cluster.store.owned("Job", live["metadata"]["uid"])
    recipes = [job["metadata"]["labels"][names.LABEL_RECIPE] for job in jobs if not job_over(job)]
    assert len(recipes) == len(set(recipes)), recipes


def _replicas_are_in_bounds(cluster: MadeUpCluster, live: Document) -> None:
    deployment, scaling = deployment_of(cluster, live), parsed(live).scaling
    if deployment is None or ANNOTATION_REPLICAS not in deployment["metadata"].get("annotations", {}):
        return  # without what it wrote there, the operator leaves it alone until it knows again what should serve
    asked = deployment["spec"]["replicas"]
    if scaling.mode == "Objective":
        assert scaling.min_replicas <= asked <= scaling.max_replicas, (asked, scaling)
    elif scaling.replicas is not None:
        assert asked == scaling.replicas, (asked, scaling)


def _what_serves_was_wanted(cluster: MadeUpCluster, model: Model, before: Document) -> None:
    """What serves changes only to what the spec asks for, or where a start failed, to what served before."""
    history, deployment = model.history(before), deployment_of(cluster, before)
    serving = serving_of(deployment)
    if deployment is None or serving is None:
        return
    digest, was = serving.artifact_digest or "", history.serving
    allowed = model.candidates(before) | ({was.artifact_digest or ""} if was is not None else set())
    if was is None:
        allowed.add(before.get("status", {}).get("artifact", {}).get("digest", "").removeprefix("sha256:"))
    if ANNOTATION_FAILED in deployment["metadata"]["annotations"]:
        allowed |= history.served
    assert digest in allowed, f"{digest[:8]} serves; it may be {sorted(one[:8] for one in allowed)}"
    history.serving = serving
    if any(pods.is_ready(pod) for pod in replicas_of(cluster, deployment)):
        history.served.add(digest)


def at_rest(cluster: MadeUpCluster, model: Model, live: Document) -> bool:
    """Hold the AgentDeployment to the reference when nothing changes any more; return whether all is well with it."""
    deployment, status = deployment_of(cluster, live), live["status"]
    assert status["observedGeneration"] == live["metadata"]["generation"]
    if deployment is not None and ANNOTATION_FAILED in deployment["metadata"].get("annotations", {}):
        assert cluster.node.troubled, "a start is said to have failed, and none did"
        assert not _is_ready(live)
        return False
    expected, serving = model.expected(live), serving_of(deployment)
    if deployment is not None and serving is None and not expected.in_force:
        assert not _is_ready(live)  # somebody took what says what serves, and the spec asks for what is not there
        return False
    _exactly_these_objects(cluster, model, live, expected)
    found = serving.artifact_digest if serving is not None else None
    assert found == expected.artifact, f"{found} serves instead of {expected.artifact}"
    if deployment is None:
        assert not _is_ready(live)
        return False
    _as_many_as_asked(cluster, live, deployment)
    return _all_is_well(cluster, live, deployment, expected)


def _all_is_well(cluster: MadeUpCluster, live: Document, deployment: Document, expected: Expected) -> bool:
    if not can_mount(cluster, live):
        return False
    if not _is_stored(cluster, live, expected.artifact or ""):
        assert not expected.in_force, "what should serve is on no volume, and nothing builds it"
        return False
    assert _is_ready(live) == expected.in_force, live["status"]["conditions"]
    found = replicas_of(cluster, deployment)
    assert len(found) == deployment["spec"]["replicas"]
    assert all(pods.is_ready(pod) for pod in found)
    return True


def nothing_is_left_over(cluster: MadeUpCluster) -> None:
    """All that somebody controls has its controller."""
    alive = {document["metadata"]["uid"] for document in cluster.store.objects.values()}
    owners = {controller_uid(document) for document in cluster.store.objects.values()}
    assert owners - {""} <= alive


def _exactly_these_objects(cluster: MadeUpCluster, model: Model, live: Document, expected: Expected) -> None:
    must, may = model.objects(live, expected)
    uid = live["metadata"]["uid"]
    owned = {place for place, document in cluster.store.objects.items() if controller_uid(document) == uid}
    owned -= {place for place in owned if place[0] in ("Pod", "ReplicaSet")}
    assert must <= owned, f"missing: {must - owned}"
    left = {place for place in owned - may if not _is_unseen(cluster, place)}
    assert not left, f"left over: {left}"


def _is_unseen(cluster: MadeUpCluster, place: tuple[str, str]) -> bool:
    """Return whether somebody took the labels of an old recipe, which then goes with its owner only."""
    labels = cluster.store.objects[place]["metadata"].get("labels", {})
    return place[0] == "ConfigMap" and names.LABEL_INSTANCE not in labels


def _as_many_as_asked(cluster: MadeUpCluster, live: Document, deployment: Document) -> None:
    scaling, asked = parsed(live).scaling, deployment["spec"]["replicas"]
    if scaling.mode == "Objective":
        assert asked == scaling.min_replicas, f"{asked} replicas idle, {scaling.min_replicas} are the fewest"
    else:
        assert asked == scaling.replicas


def _is_ready(live: Document) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in live["status"]["conditions"])


def can_mount(cluster: MadeUpCluster, live: Document) -> bool:
    """Return whether new pods find the claim of artifacts: one that was deleted goes when no pod holds it any more."""
    claim = cluster.store.find("PersistentVolumeClaim", f"{live['metadata']['name']}-artifacts")
    return claim is None or not pods.is_going(claim)


def _is_stored(cluster: MadeUpCluster, live: Document, digest: str) -> bool:
    claim = cluster.store.find("PersistentVolumeClaim", f"{live['metadata']['name']}-artifacts")
    return claim is not None and digest in cluster.node.volumes[claim["metadata"]["uid"]]


def deployment_of(cluster: MadeUpCluster, live: Document) -> Document | None:
    """Return the Deployment, if it is the AgentDeployment's own."""
    found = cluster.store.find("Deployment", live["metadata"]["name"])
    return found if found is not None and controller_uid(found) == owner_of(live).uid else None


def serving_of(deployment: Document | None) -> BuildSummary | None:
    """Return what the Deployment says that it serves."""
    text = deployment["metadata"].get("annotations", {}).get(names.ANNOTATION_ARTIFACT) if deployment else None
    return BuildSummary.from_json(text) if text else None


def replicas_of(cluster: MadeUpCluster, deployment: Document) -> list[Document]:
    """Return the Deployment's pods that are not going."""
    sets = cluster.store.owned("ReplicaSet", deployment["metadata"]["uid"])
    found = [pod for one in sets for pod in cluster.store.owned("Pod", one["metadata"]["uid"])]
    return [pod for pod in found if not pods.is_going(pod)]
