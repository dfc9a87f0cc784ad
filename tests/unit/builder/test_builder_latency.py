import pytest

from slipstream_builder.measuring import analysis, latency


def test_exact_points_give_their_line_back():
    curve = latency.fit({batch: 0.002 + 0.0005 * batch for batch in (1, 2, 4, 8, 64)})
    assert (curve.alpha_seconds, curve.beta_seconds) == (pytest.approx(0.002), pytest.approx(0.0005))
    assert curve.residual == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("points", [{1: 0.01, 64: 0.005}, {1: 0.001, 2: 0.0025, 4: 0.006}])
def test_neither_part_of_the_line_is_ever_negative(points):
    curve = latency.fit(points)
    assert curve.alpha_seconds >= 0
    assert curve.beta_seconds >= 0
    assert curve.residual > 0


def test_one_point_is_a_constant():
    assert latency.fit({1: 0.01}).seconds(8) == pytest.approx(0.01)


def test_the_ratio_is_paired_within_rounds():
    baseline = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    timing = latency.compare(32, [value / 2 for value in baseline], baseline)
    assert (timing.ratio, timing.low, timing.high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(("count", "rank"), [(6, 0), (9, 1), (15, 3), (25, 7)])
def test_the_interval_of_the_median_leaves_out_the_ranks_of_the_tables(count, rank):
    assert latency.median_rank(count) == rank


@pytest.mark.parametrize(
    ("bottleneck", "curve", "model_bytes"),
    [
        ("Compute", {1: 0.0041, 64: 0.2561}, 1_000_000),
        ("Memory", {1: 0.0021, 64: 0.0084}, 40_000_000),
        ("Overhead", {1: 0.00002, 64: 0.00008}, 10_000),
    ],
)
def test_the_bottleneck_follows_from_fixed_cost_and_what_reading_weights_takes(bottleneck, curve, model_bytes):
    found = analysis.analyse(
        latency.fit(curve),
        kind="dense",
        operators=(),
        model_bytes=model_bytes,
        parameters=1,
        multiplications=1000,
        read_bytes_per_second=2e10,
    )
    assert found.bottleneck == bottleneck
    assert found.batching_gain == pytest.approx(curve[1] * 64 / curve[64])
