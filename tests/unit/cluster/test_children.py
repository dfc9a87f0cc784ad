import hashlib
import json

import pytest

from slipstream_contract import codec
from slipstream_contract.recipe import Recipe
from slipstream_contract.summary import BuildSummary
from slipstream_operator.cluster import kinds, sources
from slipstream_operator.cluster.children import family
from slipstream_operator.cluster.children.deployment import template_revision
from slipstream_operator.cluster.children.keys import keys_secret
from slipstream_operator.cluster.children.metadata import Owner, job_name
from slipstream_operator.cluster.settings import OperatorSettings
from slipstream_operator.errors import ManifestError
from slipstream_operator.reconcile.desired import Desired, DesiredServing
from slipstream_testing.observations import make_spec, make_summary

OWNER = Owner("shop", "recommender", "uid-1")
SETTINGS = OperatorSettings(builder_image="builder:1", runtime_image="runtime:1")


def serving(replicas=2, **spec):
    desired = Desired(None, DesiredServing(make_summary(), replicas), {}, ())
    return {d["kind"]: d for d in family.applied(OWNER, make_spec(**spec), desired, SETTINGS)}


def job(**spec):
    parsed = make_spec(**spec)
    return family.created(OWNER, parsed.recipe, sources.claims(parsed), (), SETTINGS)


def pod_of(workload):
    return workload["spec"]["template"]["spec"]


@pytest.mark.parametrize("workload", [job(), serving()["Deployment"]], ids=["build", "runtime"])
def test_a_strangers_model_gets_no_token_no_rights_and_no_writable_root(workload):
    pod = pod_of(workload)
    (container,) = pod["containers"]

    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"]
    assert all("sizeLimit" in volume["emptyDir"] for volume in pod["volumes"] if "emptyDir" in volume)


def test_every_child_is_owned_labelled_and_of_a_known_kind():
    desired = Desired(make_spec().recipe, DesiredServing(make_summary(), 1), {}, ())

    for child in [*family.applied(OWNER, make_spec(), desired, SETTINGS), job()]:
        assert kinds.kind_of(child) in kinds.CHILDREN
        assert child["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "slipstream-operator"
        (reference,) = child["metadata"]["ownerReferences"]
        assert (reference["uid"], reference["controller"]) == ("uid-1", True)
        assert "finalizers" not in child["metadata"]


def test_the_recipe_survives_its_way_through_the_config_map():
    desired = Desired(make_spec().recipe, None, {}, ())
    (config,) = [d for d in family.applied(OWNER, make_spec(), desired, SETTINGS) if d["kind"] == "ConfigMap"]

    assert codec.decode_json(Recipe, config["data"]["recipe.json"], "recipe") == make_spec().recipe


def test_a_build_reads_each_claim_once_and_read_only():
    (container,) = pod_of(job())["containers"]

    mounts = [mount for mount in container["volumeMounts"] if mount["mountPath"].startswith("/mnt/claims/")]

    assert [(mount["mountPath"], mount["readOnly"]) for mount in mounts] == [("/mnt/claims/models", True)]


def test_a_sources_secret_is_mounted_into_the_build_and_nowhere_else():
    model = {"uri": "s3://models/m.onnx", "secretRef": {"name": "models-read"}}
    pod = pod_of(job(model=model))
    (container,) = pod["containers"]

    (volume,) = [volume for volume in pod["volumes"] if "secret" in volume]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == volume["name"]]
    assert volume["secret"] == {"secretName": "models-read", "defaultMode": 0o440}
    assert (mount["mountPath"], mount["readOnly"]) == ("/mnt/secrets/models-read", True)
    replica = pod_of(serving(model=model)["Deployment"])
    assert "models-read" not in json.dumps(replica)


def secrets_of(pod):
    return {
        volume["secret"]["secretName"]: [item["key"] for item in volume["secret"]["items"]]
        for volume in pod["volumes"]
        if "secret" in volume
    }


def flag(pod, name):
    (container,) = pod["containers"]
    (value,) = [arg.split("=", 1)[1] for arg in container["args"] if arg.startswith(f"--{name}=")]
    return value


def test_replicas_take_the_key_that_was_made_and_see_only_its_digest():
    secret = keys_secret(OWNER, "the-token")
    pod = pod_of(serving()["Deployment"])

    assert secret["stringData"]["token"] == "the-token"
    assert secret["stringData"]["keys"] == f"default:{hashlib.sha256(b'the-token').hexdigest()}\n"
    assert secrets_of(pod) == {secret["metadata"]["name"]: ["keys"]}
    assert (flag(pod, "authentication"), flag(pod, "keys-file")) == ("keys", "/mnt/secrets/keys/keys")


def test_replicas_take_the_keys_of_a_secret_that_was_named():
    authentication = {"mode": "Keys", "secretRef": {"name": "callers"}}

    pod = pod_of(serving(serving={"authentication": authentication})["Deployment"])

    assert secrets_of(pod) == {"callers": ["keys"]}


def test_only_replicas_that_review_tokens_hold_one():
    review = pod_of(serving(serving={"authentication": {"mode": "TokenReview"}})["Deployment"])
    nobody = pod_of(serving(serving={"authentication": {"mode": "None"}})["Deployment"])

    assert (review["automountServiceAccountToken"], flag(review, "authentication")) == (True, "token-review")
    assert (nobody["automountServiceAccountToken"], flag(nobody, "authentication")) == (False, "none")
    assert secrets_of(review) == secrets_of(nobody) == {}


def test_a_shared_cache_is_told_by_a_secret_and_reached_through_the_policy():
    children = serving(serving={"cache": {"mode": "Redis", "secretRef": {"name": "redis"}}})
    pod = pod_of(children["Deployment"])

    assert secrets_of(pod)["redis"] == ["url"]
    assert flag(pod, "cache-redis-file") == "/mnt/secrets/redis/url"
    (egress,) = children["NetworkPolicy"]["spec"]["egress"]
    assert 6379 in [port["port"] for port in egress["ports"]]


def test_an_accelerator_is_asked_for_as_request_and_limit_and_never_replaced_by_another():
    pod = pod_of(serving(serving={"accelerator": {"provider": "TensorRT"}})["Deployment"])
    (container,) = pod["containers"]

    assert flag(pod, "provider") == "tensorrt"
    assert {kind["nvidia.com/gpu"] for kind in container["resources"].values()} == {"1"}


def test_a_build_reaches_the_port_its_model_comes_from_and_no_metadata_service():
    spec = make_spec(model={"uri": "https://models.shop.svc:8443/m.onnx"})
    policies = family.applied(OWNER, spec, Desired(None, None, {}, ()), SETTINGS)
    (builder,) = [
        d for d in policies if d["metadata"]["name"] == "recommender-builder" and d["kind"] == "NetworkPolicy"
    ]

    _, files = builder["spec"]["egress"]
    blocks = [peer["ipBlock"] for peer in files["to"] if "ipBlock" in peer]
    assert [port["port"] for port in files["ports"]] == [80, 443, 8443, 9000]
    assert [block["except"] for block in blocks] == [["169.254.0.0/16"], ["fe80::/10"]]


def test_a_users_mistake_ends_the_job_and_an_eviction_does_not_count():
    rules = job()["spec"]["podFailurePolicy"]["rules"]

    assert rules[0]["action"] == "FailJob"
    assert rules[0]["onExitCodes"]["values"] == [2]
    assert rules[1]["action"] == "Ignore"


def test_the_jobs_name_fits_into_a_label_however_long_the_owners_is():
    owner = Owner("shop", "a" * 52, "uid")

    assert len(job_name(owner, "f" * 64)) == 63


def test_a_replica_drains_before_it_is_killed():
    pod = pod_of(serving()["Deployment"])
    (container,) = pod["containers"]
    drain = next(a for a in container["args"] if a.startswith("--drain-seconds="))
    sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert pod["terminationGracePeriodSeconds"] >= sleep + int(drain.partition("=")[2]) + 5


def test_new_replicas_come_up_before_old_ones_go():
    strategy = serving()["Deployment"]["spec"]["strategy"]["rollingUpdate"]

    assert strategy == {"maxUnavailable": 0, "maxSurge": "25%"}


def test_the_deployment_carries_what_it_serves():
    annotations = serving(replicas=3)["Deployment"]["metadata"]["annotations"]

    assert BuildSummary.from_json(annotations["slipstream.dev/artifact"]) == make_summary()
    assert annotations["slipstream.dev/replicas"] == "3"


def test_a_changed_replica_count_is_not_a_new_revision_and_a_changed_option_is():
    spec, other = make_spec(), make_spec(serving={"cache": {"mode": "Off"}})
    few, many = serving(replicas=1)["Deployment"], serving(replicas=9)["Deployment"]

    assert few["spec"]["template"] == many["spec"]["template"]
    revisions = {template_revision(OWNER, s, make_summary(), SETTINGS) for s in (spec, other)}
    assert len(revisions) == 2


def test_replicas_may_be_asked_by_their_namespace_and_scraped_by_the_operators():
    policies = family.applied(OWNER, make_spec(), Desired(None, None, {}, ()), SETTINGS)
    (runtime,) = [
        d for d in policies if d["metadata"]["name"] == "recommender-runtime" and d["kind"] == "NetworkPolicy"
    ]

    requests, metrics = runtime["spec"]["ingress"]
    assert requests["from"] == [{"podSelector": {}}]
    assert "slipstream-system" in json.dumps(metrics["from"])
    assert "egress" not in runtime["spec"]
    assert "Egress" in runtime["spec"]["policyTypes"]


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("file:///m.onnx", "a pod cannot read files of your machine"),
        ("models/m.onnx", "a pod cannot read files of your machine"),
        ("pvc://m.onnx", "write pvc://CLAIM/PATH"),
        ("pvc://claim/../m.onnx", "write pvc://CLAIM/PATH"),
    ],
)
def test_a_source_no_pod_can_read_is_refused_with_its_field(uri, words):
    with pytest.raises(ManifestError, match=r"^spec\.model\.uri: ") as refusal:
        sources.claims(make_spec(model={"uri": uri}))

    assert words in str(refusal.value)
