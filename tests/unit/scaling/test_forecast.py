"""The demand to be ready for."""

import pytest

from slipstream_operator.scaling.forecast import forecast, holt, upper_quantile

FORECASTS = {
    "nothing seen is nothing expected": ((), 0, 0),
    "a steady rate stays": ((100.0,) * 8, 100, 100),
    "a fall is not believed before the quantile has it": ((100.0,) * 8 + (10.0,), 95, 100),
    "a rise goes on while a replica starts": (tuple(range(100, 1300, 100)), 1250, 2400),
    "a jump counts at once, less its noise": ((100.0,) * 8 + (900.0,), 870, 1000),
    "a trend at most doubles the present": ((0.0, 0.0, 0.0, 0.0, 10_000.0), 9_000, 20_000),
    "a rise within the noise is no trend": ((100.0, 100.0, 100.0, 100.0, 100.0, 104.0, 108.0), 106, 107),
    "noise is no trend": ((98.0, 103.0, 99.0, 97.0, 104.0, 101.0), 101, 105),
}


@pytest.mark.parametrize("case", FORECASTS)
def test_forecast(case):
    rates, least, most = FORECASTS[case]
    assert least <= forecast(rates, 5.0, 20.0) <= most


def test_a_jump_counts_at_once_however_soon_a_replica_starts():
    assert forecast((100.0,) * 8 + (900.0,), 5.0, 1.0) == pytest.approx(900 - 2 * (900 / 5) ** 0.5)


def test_holt_finds_a_line():
    level, trend = holt([10.0 * step for step in range(60)])
    assert level == pytest.approx(590, abs=1)
    assert trend == pytest.approx(10, abs=0.1)


def test_upper_quantile_is_linear_between_values():
    assert upper_quantile([3.0, 1.0, 2.0], 0.75) == pytest.approx(2.5)
    assert upper_quantile([4.0], 0.9) == 4.0
