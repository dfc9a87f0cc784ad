import pytest

from slipstream_operator.api import schema
from slipstream_operator.errors import ManifestError
from slipstream_testing.bad_manifests import BAD_MANIFESTS


@pytest.mark.parametrize("bad", BAD_MANIFESTS, ids=lambda bad: bad.sentence)
def test_the_local_check_refuses(bad):
    with pytest.raises(ManifestError) as refusal:
        schema.validate(bad.document())

    assert bad.words in str(refusal.value)
