import copy

import pytest

from slipstream_operator.cluster.children import family
from slipstream_operator.cluster.children.metadata import Owner
from slipstream_operator.cluster.drift import contains, needs_apply
from slipstream_operator.cluster.settings import OperatorSettings
from slipstream_operator.reconcile.desired import Desired, DesiredServing
from slipstream_testing.observations import make_spec, make_summary

DESIRED = Desired(None, DesiredServing(make_summary(), 2), {}, ())
CHILDREN = family.applied(Owner("shop", "recommender", "uid"), make_spec(), DESIRED, OperatorSettings())
DEPLOYMENT = next(child for child in CHILDREN if child["kind"] == "Deployment")


def live(**changes):
    """Return the Deployment as a list gives it: without its kind, with the server's defaults."""
    document = copy.deepcopy(DEPLOYMENT)
    del document["kind"], document["apiVersion"]
    document["metadata"] |= {"resourceVersion": "7", "generation": 1}
    document["spec"]["template"]["spec"]["dnsPolicy"] = "ClusterFirst"
    document["spec"] |= changes
    return document


def test_an_absent_child_is_applied():
    assert needs_apply(DEPLOYMENT, None)


def test_what_was_applied_and_defaulted_is_left_alone():
    assert not needs_apply(DEPLOYMENT, live())


def test_another_count_is_drift():
    assert needs_apply(DEPLOYMENT, live(replicas=5))


def test_another_image_is_drift():
    changed = live()
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = "other"

    assert needs_apply(DEPLOYMENT, changed)


def test_a_field_that_is_no_longer_wanted_is_found_by_the_digest():
    changed = live()
    changed["metadata"]["annotations"]["slipstream.dev/spec-hash"] = "before"

    assert needs_apply(DEPLOYMENT, changed)


@pytest.mark.parametrize(
    ("here", "wanted"),
    [("500m", "0.5"), ("1Gi", "1024Mi"), ("1Gi", "1073741824"), ("2", "2000m")],
)
def test_a_quantity_written_otherwise_is_the_same(here, wanted):
    assert contains({"cpu": here}, {"cpu": wanted})


@pytest.mark.parametrize(("here", "wanted"), [("1", "2"), ("1Gi", "1G"), ("a", "b"), ("1", 1), (None, {})])
def test_what_differs_differs(here, wanted):
    assert not contains({"x": here}, {"x": wanted})


def test_items_that_others_added_to_a_keyed_list_are_no_drift():
    assert contains([{"name": "ours", "port": 1, "protocol": "TCP"}, {"name": "theirs"}], [{"name": "ours", "port": 1}])
    assert not contains(["--a", "--b"], ["--a"])
