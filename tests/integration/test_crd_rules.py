"""Each CEL rule of the CRD takes what is right and refuses what is wrong, in its own words, on a real API server."""

from collections.abc import Iterator

import pytest

from slipstream_operator.api import schema
from slipstream_testing.api import ApiError
from slipstream_testing.control_plane import ControlPlane
from slipstream_testing.rule_examples import EXAMPLES, example, places

SCHEMA = schema.custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
PLACES = tuple(places(SCHEMA))


class Objects:
    """The AgentDeployments of a namespace: tries what would become of one."""

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self._api = control_plane.api
        self._path = f"/apis/slipstream.dev/v1alpha1/namespaces/{namespace}/agentdeployments"

    def prepare(self, document):
        """Create the object that is then to be changed."""
        document["metadata"].pop("namespace")
        self._api.create(self._path, document)

    def try_to_have(self, document, *, changed: bool):
        """Create or change the object, but only as a dry run."""
        document["metadata"].pop("namespace")
        if changed:
            path = f"{self._path}/{document['metadata']['name']}"
            return self._api.merge(path, {"spec": document["spec"]}, dryRun="All")
        return self._api.create(self._path, document, dryRun="All", fieldValidation="Strict")


@pytest.fixture
def objects(control_plane: ControlPlane, namespace: str) -> Iterator[Objects]:
    return Objects(control_plane, namespace)


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_rule_takes_what_is_right_and_refuses_what_is_wrong(objects, place):
    case = example(place.message)
    if case.before is not None:
        objects.prepare(place.document(case.before))
    changed = case.before is not None

    objects.try_to_have(place.document(case.right), changed=changed)
    with pytest.raises(ApiError) as refusal:
        objects.try_to_have(place.document(case.wrong), changed=changed)

    assert place.message in str(refusal.value)
    assert place.field.replace("[]", "[0]") in str(refusal.value)


def test_every_rule_has_its_example_and_every_example_its_rule():
    messages = {place.message for place in PLACES}

    assert all(sum(message.startswith(begin) for begin in EXAMPLES) == 1 for message in messages)
    assert [begin for begin in EXAMPLES if not any(message.startswith(begin) for message in messages)] == []
