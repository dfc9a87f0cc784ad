import pytest

from slipstream_contract.recipe import Environment, Source
from slipstream_operator.api import schema
from slipstream_testing.manifests import agent_deployment
from slipstream_testing.observations import make_spec

METRICS = (
    "accuracy",
    "accuracy@5",
    "f1",
    "auc",
    "mae",
    "mse",
    "ndcg@10",
    "hit-rate@20",
    "agreement",
    "agreement@10",
    "neighbors@10",
    "my_company.metrics:sharpe_ratio",
)


def test_an_environment_takes_the_place_of_a_dataset():
    validation = make_spec(validation={"environment": {"id": "CartPole-v1"}, "metric": "return"}).recipe.validation

    assert validation.environment == Environment("CartPole-v1", 500)
    assert validation.dataset is None


def test_a_source_names_its_secret():
    model = {"uri": "s3://models/m.onnx", "secretRef": {"name": "models-read"}}

    assert make_spec(model=model).recipe.model == Source("s3://models/m.onnx", None, "models-read")


def test_slices_count_only_where_a_margin_is_given():
    dataset = {"uri": "s3://models/v.npz"}
    plain = make_spec(validation={"dataset": dataset, "metric": "accuracy"})
    sliced = make_spec(validation={"dataset": dataset, "metric": "accuracy", "maxSliceDrop": "5%"})

    assert plain.recipe.validation.max_slice_drop is None
    assert sliced.recipe.validation.max_slice_drop == pytest.approx(0.05)


@pytest.mark.parametrize("metric", METRICS)
def test_every_documented_metric_is_taken(metric):
    document = agent_deployment(validation={"dataset": {"uri": "s3://models/v.npz"}, "metric": metric})

    assert schema.validate(document)["spec"]["validation"]["metric"] == metric
