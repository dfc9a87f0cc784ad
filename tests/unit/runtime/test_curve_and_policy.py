"""The latency line learns, and the rules that rest on it hold."""

import pytest

from slipstream_runtime.batching.curve import MAX_SHAPES, Line, RefittedCurve, ShapedCurves, fit_line
from slipstream_runtime.batching.policy import (
    admissible_wait,
    batch_bound,
    default_patience,
    largest_batch,
    own_seconds,
    retry_after_seconds,
    shared_seconds,
    worthwhile_batch,
)


def test_a_line_through_exact_points_is_found():
    line = fit_line(((1, 3.0), (2, 4.0), (8, 10.0)))
    assert (line.alpha, line.beta) == pytest.approx((2.0, 1.0))


def test_neither_coefficient_becomes_negative():
    assert fit_line(((1, 4.0), (2, 2.0))).beta == 0
    assert fit_line(((1, 0.1), (10, 9.0))).alpha == 0


def test_the_curve_follows_a_machine_that_slowed_down():
    curve = RefittedCurve(Line(1e-3, 1e-4), largest=64)
    for i in range(300):
        rows = 1 + i % 32
        curve.observe(rows, 2e-3 + 2e-4 * rows)
    assert (curve.line.alpha, curve.line.beta) == pytest.approx((2e-3, 2e-4), rel=0.1)


def test_batches_of_one_size_leave_the_slope_known():
    curve = RefittedCurve(Line(1e-3, 1e-4), largest=64)
    for _ in range(1000):
        curve.observe(4, 1.4e-3)
    assert curve.line.seconds(64) == pytest.approx(7.4e-3, rel=0.05)


def test_a_start_measured_on_a_busy_machine_does_not_bend_the_line():
    curve = RefittedCurve(Line(1e-1, 1e-3), largest=128)
    for _ in range(1000):
        curve.observe(32, 1.32e-3)
    assert (curve.line.alpha, curve.line.beta) == pytest.approx((1e-3, 1e-5), rel=0.01)


def test_one_descheduled_batch_does_not_spoil_the_line():
    curve = RefittedCurve(Line(1e-3, 1e-4), largest=64)
    for _ in range(50):
        curve.observe(8, 1.8e-3)
    curve.observe(8, 3.0)
    assert curve.line.seconds(8) < 2.2e-3


def test_the_largest_batch_fits_half_the_objective():
    line = Line(1e-3, 1e-4)
    assert largest_batch(line, 0.01, 128) == 40
    assert largest_batch(line, 0.01, 16) == 16
    assert largest_batch(line, 1.0, 128) == 128


def test_an_objective_out_of_reach_still_leaves_some_batching():
    assert largest_batch(Line(0.75, 0.25), 0.1, 128) == 3


def test_a_request_takes_a_share_of_full_batches_and_by_itself_whole_ones():
    line = Line(1.0, 0.5)
    assert shared_seconds(line, 2, 4) == pytest.approx(2 * (0.25 + 0.5))
    assert own_seconds(line, 5, 4) == pytest.approx(2 * 1.0 + 5 * 0.5)


def test_a_model_that_batching_does_not_help_runs_requests_singly_and_explores_now_and_then():
    line = Line(1e-5, 1e-3)
    bounds = [batch_bound(line, 64, formed) for formed in range(1, 129)]
    assert sorted(set(bounds)) == [1, 8]
    assert bounds.count(8) == 2
    assert batch_bound(Line(2e-4, 1e-3), 64, 1) == 64


def test_lower_levels_are_refused_at_shorter_waits():
    assert [admissible_wait(0.2, priority) for priority in (0, 1, 2, 99)] == pytest.approx([0.15, 0.15, 0.075, 0.01875])


def test_a_new_shape_borrows_the_line_of_the_nearest_scaled_by_its_elements():
    curves = ShapedCurves(Line(1e-3, 1e-4), 64)
    for i in range(50):
        curves.observe(((16,),), 1 + i % 8, 1e-3 + 1e-4 * (1 + i % 8))
        curves.observe(((512,),), 1 + i % 8, 1e-3 + 3.2e-3 * (1 + i % 8))
    assert curves.line(((16,),)).beta == pytest.approx(1e-4, rel=0.1)
    assert curves.line(((32,),)).beta == pytest.approx(2e-4, rel=0.1)
    assert curves.line(((256,),)).beta == pytest.approx(1.6e-3, rel=0.1)


def test_lines_are_kept_for_a_bounded_number_of_shapes():
    curves = ShapedCurves(Line(1e-3, 1e-4), 64)
    for length in range(1, MAX_SHAPES + 50):
        curves.observe(((length,),), 1, 1e-3)
    assert len(curves) == MAX_SHAPES


def test_retry_after_is_whole_seconds_from_one():
    assert retry_after_seconds(0.3, 0.2) == 1
    assert retry_after_seconds(3.5, 0.2) == 4


def test_patience_is_bounded_below():
    assert default_patience(0.001) == 0.05
    assert default_patience(0.1) == 0.2


def test_a_bent_latency_is_fitted_where_batches_are_small_too():
    measured = ((1, 0.003), (4, 0.0056), (16, 0.0151), (32, 0.0284), (64, 0.063), (128, 0.124))

    line = fit_line(measured)

    assert line.seconds(1) == pytest.approx(0.003, rel=0.2)
    assert line.seconds(32) == pytest.approx(0.0284, rel=0.2)


def test_no_batch_is_larger_than_what_gives_the_most_rows_a_second():
    assert worthwhile_batch(((1, 0.003), (16, 0.0151), (32, 0.0284), (64, 0.063))) == 32
    assert worthwhile_batch(((1, 0.001), (2, 0.00199), (4, 0.00398))) == 1


def test_batching_that_was_switched_off_by_mistake_comes_back():
    curve = RefittedCurve(Line(0.0, 0.001), 128)
    for number in range(1, 400):
        rows = 8 if number % 64 == 0 else 1
        curve.observe(rows, 0.002 + 0.00085 * rows)

    assert batch_bound(curve.line, 32, 1) == 32
