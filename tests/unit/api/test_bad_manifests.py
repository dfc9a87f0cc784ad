"""What `slipstream up` says of wrong manifests; the API server is asked the same in the integration tests."""

import pytest

from slipstream_operator.api import schema
from slipstream_operator.errors import ManifestError
from slipstream_testing.bad_fields import bad_fields
from slipstream_testing.bad_manifests import BAD_MANIFESTS

SCHEMA = schema.custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
ALL = [*BAD_MANIFESTS, *bad_fields(SCHEMA)]


@pytest.mark.parametrize("bad", ALL, ids=lambda bad: bad.sentence)
def test_the_local_check_refuses(bad):
    with pytest.raises(ManifestError) as refusal:
        schema.validate(bad.document())

    assert not bad.unsaid(str(refusal.value)), str(refusal.value)


def test_there_are_at_least_150_different_ones():
    assert len({bad.sentence for bad in ALL}) >= 150
