import hashlib

import pytest
import yaml

from slipstream_operator.errors import ManifestError
from slipstream_operator.local import manifest_file
from slipstream_testing.manifests import agent_deployment


@pytest.fixture
def document():
    document = agent_deployment(model={"uri": "m.onnx"})
    del document["spec"]["validation"]
    return document


@pytest.fixture
def save(tmp_path):
    def save(*documents):
        (tmp_path / "m.onnx").write_bytes(b"model")
        file = tmp_path / "agent.yaml"
        file.write_text(yaml.safe_dump_all(documents))
        return file

    return save


def test_a_path_is_taken_relative_to_the_manifest_and_its_digest_pinned(tmp_path, save, document):
    spec = manifest_file.read(save(document))

    assert spec.model.uri == (tmp_path / "m.onnx").resolve().as_uri()
    assert spec.model.sha256 == hashlib.sha256(b"model").hexdigest()


def test_a_changed_model_file_is_another_recipe(tmp_path, save, document):
    file = save(document)
    before = manifest_file.read(file).recipe.digest
    (tmp_path / "m.onnx").write_bytes(b"another")

    assert manifest_file.read(file).recipe.digest != before


def test_other_objects_in_the_file_are_passed_over(save, document):
    assert manifest_file.read(save({"kind": "Namespace"}, document)).name == "recommender"


def test_a_digest_that_differs_names_the_field_and_both_ways_out(save, document):
    document["spec"]["model"]["sha256"] = "0" * 64

    with pytest.raises(ManifestError, match=r"spec\.model\.sha256: .* correct the digest or restore the file"):
        manifest_file.read(save(document))


def test_a_missing_model_names_the_field_and_the_file(save, document):
    document["spec"]["model"]["uri"] = "file:absent.onnx"

    with pytest.raises(ManifestError, match=r"agent\.yaml: spec\.model\.uri: .*absent\.onnx: cannot be read"):
        manifest_file.read(save(document))


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(ManifestError, match=r"none\.yaml: cannot be read"):
        manifest_file.read(tmp_path / "none.yaml")


@pytest.mark.parametrize("text", ["a: [", "- 1", "", "kind: Pod", "a: &a [*a]", "\x00"])
def test_text_that_is_no_agent_deployment_gets_a_clear_error(tmp_path, text):
    file = tmp_path / "agent.yaml"
    file.write_text(text)

    with pytest.raises(ManifestError, match=r"agent\.yaml"):
        manifest_file.read(file)
