"""The latency line learns, and the rules that rest on it hold."""

import pytest

from slipstream_runtime.batching.curve import Line, RefittedCurve, fit_line
from slipstream_runtime.batching.policy import default_patience, largest_batch, predicted_wait, retry_after_seconds


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


def test_the_wait_counts_the_running_batch_and_every_batch_ahead():
    line = Line(1.0, 0.5)
    assert predicted_wait(line, 0, 4, 0.25) == 0.25
    assert predicted_wait(line, 5, 4, 0.25) == pytest.approx(0.25 + 2 * 1.0 + 5 * 0.5)


def test_retry_after_is_whole_seconds_from_one():
    assert retry_after_seconds(0.3, 0.2) == 1
    assert retry_after_seconds(3.5, 0.2) == 4


def test_patience_is_bounded_below():
    assert default_patience(0.001) == 0.05
    assert default_patience(0.1) == 0.2
