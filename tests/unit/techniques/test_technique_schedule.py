"""The pruning schedule and the rounding of channel counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream_builder.techniques.training.schedule import kept_channels, multiple_of, sparsity

fractions = st.floats(0.0, 1.0)
steps = st.integers(1, 10_000)


@given(initial=fractions, final=fractions, end=steps)
def test_the_schedule_starts_at_the_initial_and_ends_at_the_final_fraction(initial, final, end):
    assert sparsity(0, 0, end, final, initial) == pytest.approx(initial)
    assert sparsity(end, 0, end, final, initial) == pytest.approx(final)


@given(final=fractions, end=steps, beyond=st.integers(0, 100))
def test_outside_its_steps_the_schedule_holds_its_ends(final, end, beyond):
    assert sparsity(-beyond, 0, end, final) == pytest.approx(0.0, abs=1e-12)
    assert sparsity(end + beyond, 0, end, final) == pytest.approx(final)


@given(final=fractions, end=steps, first=steps, second=steps)
def test_the_fraction_never_falls_on_the_way(final, end, first, second):
    earlier, later = sorted((first, second))

    assert sparsity(earlier, 0, end, final) <= sparsity(later, 0, end, final) + 1e-12


@given(final=st.floats(0.01, 1.0), half=steps)
def test_an_eighth_of_the_way_is_left_at_half_time(final, half):
    assert sparsity(half, 0, 2 * half, final) == pytest.approx(final * 7 / 8)


def test_a_schedule_that_ends_before_it_begins_is_refused():
    with pytest.raises(ValueError, match="not after its begin"):
        sparsity(0, 10, 10, 0.5)


def test_a_fraction_above_one_is_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        sparsity(0, 0, 10, 1.5)


@given(channels=st.integers(1, 5000), fraction=fractions)
def test_the_channels_that_stay_are_a_multiple_unless_all_stay(channels, fraction):
    kept = kept_channels(channels, fraction)

    assert 1 <= kept <= channels
    assert kept == channels or kept % multiple_of(channels) == 0


@given(channels=st.integers(64, 5000), fraction=fractions)
def test_the_rounding_moves_a_wide_layer_by_less_than_one_multiple(channels, fraction):
    assert abs(kept_channels(channels, fraction) - channels * (1 - fraction)) <= 16
