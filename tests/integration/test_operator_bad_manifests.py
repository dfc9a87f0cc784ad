"""The API server refuses what the local check refuses, for the same field and where a rule speaks in the same words."""

import json

import pytest

from slipstream_testing.bad_manifests import BAD_MANIFESTS
from slipstream_testing.manifests import agent_deployment


@pytest.mark.parametrize("bad", BAD_MANIFESTS, ids=lambda bad: bad.sentence)
def test_the_api_server_refuses(control_plane, bad):
    document = bad.document()
    document["metadata"]["namespace"] = "default"

    done = control_plane.kubectl("create", "--dry-run=server", "-f", "-", input=json.dumps(document), check=False)

    assert done.returncode != 0
    assert bad.words in done.stderr.replace('\\"', '"')


def test_the_api_server_takes_what_is_right(control_plane):
    document = agent_deployment()
    document["metadata"]["namespace"] = "default"

    control_plane.kubectl("create", "--dry-run=server", "-f", "-", input=json.dumps(document))
