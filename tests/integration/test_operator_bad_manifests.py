"""The API server refuses what the local check refuses, for the same field and where a rule speaks in the same words."""

import json

import pytest

from slipstream_operator.api import schema
from slipstream_testing.api import ApiError
from slipstream_testing.bad_fields import bad_fields
from slipstream_testing.bad_manifests import BAD_MANIFESTS
from slipstream_testing.manifests import agent_deployment

PATH = "/apis/slipstream.dev/v1alpha1/namespaces/default/agentdeployments"
SCHEMA = schema.custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def create(control_plane, document):
    """Ask as kubectl does: unknown fields are errors."""
    document["metadata"]["namespace"] = "default"
    return control_plane.api.create(PATH, document, dryRun="All", fieldValidation="Strict")


@pytest.mark.parametrize("bad", [*BAD_MANIFESTS, *bad_fields(SCHEMA)], ids=lambda bad: bad.sentence)
def test_the_api_server_refuses(control_plane, bad):
    with pytest.raises(ApiError) as refusal:
        create(control_plane, bad.document())

    assert refusal.value.status in (400, 422)
    assert not bad.unsaid(str(refusal.value)), str(refusal.value)


def test_the_api_server_takes_what_is_right(control_plane):
    create(control_plane, agent_deployment())


def test_kubectl_shows_the_words_of_a_refusal(control_plane):
    document = agent_deployment(scaling={"minReplicas": 5, "maxReplicas": 2})
    document["metadata"]["namespace"] = "default"

    done = control_plane.kubectl("apply", "-f", "-", input=json.dumps(document), check=False)

    assert "raise maxReplicas or lower minReplicas" in done.stderr
