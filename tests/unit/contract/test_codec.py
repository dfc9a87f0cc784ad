import pytest

from slipstream_contract import codec
from slipstream_contract.errors import ContractError
from slipstream_contract.manifest import FileDigest, LatencyCurve, Manifest, TensorSpec, Variant
from slipstream_contract.recipe import Recipe, Source, Validation

RECIPE = Recipe(
    name="recommender",
    model=Source("file:///m.onnx", "ab" * 32),
    validation=Validation("ndcg@10", 0.01, 0.95, Source("file:///v.npz")),
    techniques=("Optimize",),
)


def document(**changes):
    return {**codec.encode(RECIPE), **changes}


def test_a_recipe_survives_the_way_to_json_and_back():
    assert codec.decode_json(Recipe, codec.canonical_json(RECIPE), "recipe.json") == RECIPE


def test_a_manifest_survives_the_way_to_json_and_back():
    curve = LatencyCurve(0.001, 0.0001, 0.05, ((1, 0.0011), (32, 0.0042)))
    variant = Variant("optimized", FileDigest("optimized.onnx", 10, "00" * 32), ("Optimize",), 5, 1.0, curve)
    manifest = Manifest(
        name="m",
        recipe_digest="r",
        source_sha256="s",
        metric=None,
        inputs=(TensorSpec("x", "FP32", (-1, 4)),),
        outputs=(TensorSpec("y", "FP32", (-1, 2)),),
        variants=(variant,),
        baseline="optimized",
        chosen="optimized",
        files=(variant.file,),
        tools={"onnxruntime": "1"},
        cpu_features=("avx2",),
    )

    assert codec.decode_json(Manifest, codec.canonical_json(manifest), "manifest.json") == manifest


def test_the_digest_does_not_depend_on_the_order_of_fields():
    shuffled = dict(reversed(codec.encode(RECIPE).items()))

    assert codec.digest(codec.decode(Recipe, shuffled)) == RECIPE.digest


def test_another_seed_is_another_recipe():
    assert codec.decode(Recipe, document(seed=1)).digest != RECIPE.digest


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"modle": 1}, "modle: unknown field", id="an unknown field is named"),
        pytest.param({"name": 7}, "name: expected a str, found 7", id="a wrong scalar is named"),
        pytest.param({"seed": True}, "seed: expected a int", id="a boolean is no integer"),
        pytest.param({"mode": "auto"}, "mode: expected one of 'Auto'", id="a word outside the choice is named"),
        pytest.param({"model": {"sha256": None}}, "model.uri: required field is missing", id="the path is nested"),
        pytest.param({"techniques": "Optimize"}, "techniques: expected a list", id="a text is no list"),
        pytest.param({"techniques": [1]}, "techniques[0]: expected a str", id="the item of a list is numbered"),
    ],
)
def test_a_document_that_does_not_match_its_type_is_refused_naming_the_field(changes, words):
    with pytest.raises(ContractError) as caught:
        codec.decode(Recipe, document(**changes))

    assert words in str(caught.value)


def test_text_that_is_not_json_is_refused_naming_the_file():
    with pytest.raises(ContractError, match=r"^recipe\.json: not JSON"):
        codec.decode_json(Recipe, "{", "recipe.json")


def test_numbers_that_json_cannot_write_are_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        codec.canonical_json({"x": float("nan")})
