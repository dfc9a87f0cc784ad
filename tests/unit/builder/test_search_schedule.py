import pytest

from slipstream_builder.gate.verdicts import Verdict
from slipstream_builder.search import schedule
from slipstream_builder.search.cache import Record
from slipstream_builder.search.families import Candidate
from slipstream_builder.search.judging import Judgement
from slipstream_builder.search.schedule import Finished

MILD, HARD = Candidate("pruned50", ()), Candidate("pruned75", (), ("pruned50",))


def judged(*, accurate: bool, isolated: bool = True) -> Finished:
    verdicts = (Verdict("accuracy", accurate, "because"), Verdict("isolation", isolated, "because"))
    return Finished("built", record=Record("key", judgement=Judgement(1, 1, verdicts)))


def test_what_waits_for_a_milder_relative_starts_after_all_others():
    free = Candidate("weights8", ())
    assert schedule.in_order([HARD, MILD, free], {}) == [MILD, free, HARD]
    assert schedule.in_order([HARD, free], {"pruned50": judged(accurate=True)}) == [HARD, free]


def test_a_harder_variant_is_left_out_once_a_milder_one_lost_too_much():
    reason = schedule.pointless(HARD, {"pruned50": judged(accurate=False)})
    assert reason == "left out: pruned50, which takes less away, already loses too much"


def test_a_harder_variant_is_left_out_with_the_reason_for_which_a_milder_one_cannot_be_built():
    refused = Finished("failed", "no layer can be pruned", Record("key", failure="no layer can be pruned"))
    reason = schedule.pointless(HARD, {"pruned50": refused})
    assert "no layer can be pruned" in reason


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(judged(accurate=True), id="it passed"),
        pytest.param(judged(accurate=True, isolated=False), id="it failed another gate"),
        pytest.param(Finished("skipped", "no time"), id="there was no time for it"),
        pytest.param(Finished("failed", "killed"), id="its process crashed"),
    ],
)
def test_a_harder_variant_stays_in_the_race_when_the_milder_one_lost_no_accuracy(end):
    assert schedule.pointless(HARD, {"pruned50": end}) is None


def test_a_candidate_that_could_not_fit_even_at_twice_the_speed_is_left_out_with_both_numbers():
    assert schedule.unaffordable(estimate=100.0, left=51.0) is None
    assert schedule.unaffordable(estimate=100.0, left=40.0) == (
        "it would take about 100 s, and 40 s of the time budget were left at its turn"
    )
    assert "was spent" in schedule.unaffordable(estimate=0.1, left=0.0)


def test_a_running_candidate_is_judged_by_its_own_pace():
    assert schedule.overrunning(fraction=0.5, spent=30.0, left=16.0) is None
    assert "needs 30 s more" in schedule.overrunning(fraction=0.5, spent=30.0, left=14.0)


def test_a_candidate_that_only_just_began_is_left_alone():
    assert schedule.overrunning(fraction=0.01, spent=30.0, left=1.0) is None
    assert schedule.overrunning(fraction=0.5, spent=2.0, left=0.1) is None


def test_the_remaining_time_shares_the_work_among_the_workers_but_is_never_less_than_the_longest():
    assert schedule.remaining([10.0, 10.0], [], workers=2) == 10.0
    assert schedule.remaining([], [(99.0, 0.5, 20.0), (99.0, 0.5, 2.0)], workers=2) == 20.0
    assert schedule.remaining([], [(30.0, 0.0, 10.0)], workers=1) == 20.0
