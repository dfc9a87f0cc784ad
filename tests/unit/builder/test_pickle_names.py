import pytest

from slipstream_builder.errors import SourceError
from slipstream_builder.sources.loading import refuse_pickles


@pytest.mark.parametrize(
    "uri", ["model.pt", "s3://b/m.PTH", "https://h/m.ckpt?sig=secret", "https://me:word@h/m.pkl#top"]
)
def test_a_checkpoints_name_is_refused_and_its_credentials_are_not_repeated(uri):
    with pytest.raises(SourceError, match="a pickled checkpoint runs code when loaded") as refusal:
        refuse_pickles(uri)

    assert "secret" not in str(refusal.value)
    assert "word@" not in str(refusal.value)


@pytest.mark.parametrize("uri", ["model.pt2", "https://h/m.onnx?from=old.pt", "s3://models.pt/m.onnx"])
def test_other_names_pass(uri):
    refuse_pickles(uri)
