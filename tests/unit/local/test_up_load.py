"""How `slipstream up --load` measures each variant, and how high its load rises."""

from slipstream_contract.load import ServingMeasurement
from slipstream_contract.serving import ServingOptions
from slipstream_operator.local.load import alone, peak_rate, ramp


def measured(requests: int, utilization: float) -> ServingMeasurement:
    return ServingMeasurement("v", requests, 0, 1.0, 1, 1.0, 2.0, utilization)


def test_a_variant_is_measured_alone_while_the_deployment_serves_another():
    serving = ServingOptions("artifact", "int8", "shop", variant_file="variant", cache_bytes=1 << 20)

    options = alone(serving, "optimized")

    assert (options.variant, options.variant_file, options.cache_bytes) == ("optimized", "", 0)


def test_a_load_rises_above_what_one_replica_can_take():
    assert peak_rate(measured(1800, 0.95), processors=2) > 1800


def test_more_processors_carry_a_higher_peak():
    assert peak_rate(measured(1800, 0.95), processors=8) > 2 * peak_rate(measured(1800, 0.95), processors=2)


def test_a_tiny_model_is_not_loaded_beyond_what_generator_and_replicas_can_do_together():
    assert peak_rate(measured(10_000, 0.98), processors=2) < 10_000


def test_the_load_begins_and_ends_low_and_reaches_its_peak_between():
    points = [tuple(map(float, point.split(":"))) for point in ramp(1000, 90).split(",")]

    assert points[0] == (0, 150)
    assert points[-1] == (90, 150)
    assert max(rate for _, rate in points) == 1000
    assert points == sorted(points)
