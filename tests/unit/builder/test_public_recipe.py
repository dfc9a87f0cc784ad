from slipstream_builder.inputs import without_secrets
from slipstream_contract.recipe import Recipe, Source, Validation


def test_an_artifact_shows_where_its_files_came_from_without_passwords_and_signatures():
    dataset = Source("s3://models/v.npz", secret="models-read")
    validation = Validation("accuracy", 0.01, 0.95, dataset)
    recipe = Recipe("agent", Source("https://me:word@host/m.onnx?signature=abc#part", "f" * 64), validation)

    shown = without_secrets(recipe)

    assert shown.model == Source("https://***@host/m.onnx?***", "f" * 64)
    assert shown.validation == validation
    assert shown.unlabelled is None
