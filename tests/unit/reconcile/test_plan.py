import pytest

from slipstream_contract.summary import BuildSummary
from slipstream_operator.api import conditions as c
from slipstream_operator.reconcile.memory import Memory
from slipstream_operator.reconcile.observation import Build, Served
from slipstream_operator.reconcile.plan import plan
from slipstream_operator.scaling.tuning import Tuning
from slipstream_testing.observations import built, make_spec, make_summary, observe, replicas, sample, serving

NOON, LATER = "2026-11-23T12:00:00Z", "2026-11-23T12:05:00Z"


def plan_for(observation, memory=None, now=100.0, timestamp=NOON):
    return plan(observation, memory or Memory(), Tuning(), now, timestamp)


def condition(planned, kind):
    (found,) = [x for x in planned.desired.status["conditions"] if x["type"] == kind]
    return found


def verdict(planned, kind):
    found = condition(planned, kind)
    return found["status"], found["reason"]


FAILED = Build("Failed", "model.onnx: truncated", BuildSummary("InvalidSource", "model.onnx: truncated", "r"))


def test_a_new_deployment_gets_a_build_and_nothing_to_serve():
    planned = plan_for(observe())

    assert planned.desired.build == make_spec().recipe
    assert planned.desired.serving is None
    assert verdict(planned, c.READY) == ("False", "Pending")


def test_a_running_build_is_kept_and_its_progress_told():
    planned = plan_for(observe(build=Build("Running", "distilling 40 %")))

    assert planned.desired.build is not None
    assert condition(planned, c.ARTIFACT_BUILT)["message"] == "distilling 40 %"
    assert planned.desired.status["build"]["progress"] == "distilling 40 %"


def test_a_finished_build_is_served_by_the_fewest_replicas():
    planned = plan_for(observe(build=built()))

    assert planned.desired.build is None
    assert planned.desired.serving.replicas == 1
    assert planned.desired.serving.summary == make_summary()


def test_a_failed_build_is_not_begun_again_and_says_what_the_builder_said():
    planned = plan_for(observe(build=FAILED))

    assert planned.desired.build is None
    assert planned.desired.serving is None
    assert verdict(planned, c.ARTIFACT_BUILT) == ("False", "InvalidSource")
    assert condition(planned, c.READY)["message"] == "model.onnx: truncated"


def test_the_artifact_built_before_keeps_serving_while_a_new_build_runs():
    planned = plan_for(serving(2, build=Build("Running", "")))

    assert planned.desired.serving.summary == make_summary()
    assert planned.desired.build is not None
    assert verdict(planned, c.AVAILABLE) == ("True", "ReplicasReady")


def test_the_artifact_built_before_keeps_serving_when_the_new_build_failed():
    planned = plan_for(serving(2, build=FAILED))

    assert planned.desired.serving.summary == make_summary()
    assert verdict(planned, c.READY) == ("False", "InvalidSource")
    assert "keeps serving" in condition(planned, c.ARTIFACT_BUILT)["message"]


def test_a_new_artifact_takes_over_with_as_many_replicas_as_there_were():
    planned = plan_for(serving(3, build=built(artifact="b" * 64)))

    assert planned.desired.serving.summary.artifact_digest == "b" * 64
    assert planned.desired.serving.replicas == 3


def test_a_restarted_operator_holds_the_replicas_it_finds():
    planned = plan_for(serving(4), memory=Memory())

    assert planned.desired.serving.replicas == 4


def test_while_replicas_of_the_revision_before_remain_it_is_not_ready():
    planned = plan_for(serving(1, replicas=replicas(1) + replicas(1, current=False)))

    assert verdict(planned, c.READY) == ("False", "RollingOut")


@pytest.mark.parametrize(
    ("build", "wanted"),
    [
        pytest.param(built(), ("True", "Passed"), id="a compressed variant passed"),
        pytest.param(built(chosen="optimized"), ("False", "NoCandidatePassed"), id="only the original is left"),
        pytest.param(built(metric=None, chosen="optimized"), ("Unknown", "NoValidation"), id="no validation set"),
        pytest.param(Build("Running"), ("Unknown", "NotBuilt"), id="nothing built yet"),
    ],
)
def test_the_gate_condition_tells_what_was_proven(build, wanted):
    assert verdict(plan_for(observe(build=build)), c.ACCURACY_GATE_PASSED) == wanted


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        pytest.param((), ("False", "NoReplicas"), id="none exists"),
        pytest.param(replicas(0, starting=2), ("False", "Starting"), id="all start"),
        pytest.param(replicas(0, starting=1, problem="image not found"), ("False", "ReplicasFailing"), id="one fails"),
        pytest.param(replicas(1, starting=1), ("True", "ReplicasReady"), id="one is ready"),
    ],
)
def test_the_available_condition_tells_how_the_replicas_are(found, wanted):
    assert verdict(plan_for(serving(1, replicas=found)), c.AVAILABLE) == wanted


@pytest.mark.parametrize(
    ("slow", "wanted"),
    [
        pytest.param(0.0, ("True", "Held"), id="fast answers hold the objective"),
        pytest.param(0.5, ("False", "Missed"), id="slow answers miss it"),
    ],
)
def test_the_objective_condition_judges_the_percentile_that_was_asked_for(slow, wanted):
    memory = plan_for(serving(samples=(sample("uid-0", 95, 1000, slow),)), now=95).memory

    planned = plan_for(serving(samples=(sample("uid-0", 100, 2000, slow),)), memory, now=100)

    assert verdict(planned, c.OBJECTIVE_MET) == wanted
    assert planned.desired.status["performance"]["requestsPerSecond"] == "200"


def test_without_traffic_nobody_knows_whether_the_objective_is_met():
    assert verdict(plan_for(serving()), c.OBJECTIVE_MET) == ("Unknown", "NoTraffic")


def test_replicas_that_do_not_report_are_held_and_told_of():
    planned = plan_for(serving(3))

    assert planned.desired.serving.replicas == 3
    assert verdict(planned, c.METRICS_AVAILABLE) == ("False", "NoSamples")


def test_manual_mode_serves_exactly_the_replicas_of_the_spec():
    spec = make_spec(scaling={"mode": "Manual", "replicas": 7})

    assert plan_for(serving(2, spec=spec)).desired.serving.replicas == 7


def test_external_mode_keeps_what_there_is_until_somebody_sets_replicas():
    spec = make_spec(scaling={"mode": "External"})

    assert plan_for(serving(2, spec=spec)).desired.serving.replicas == 2


def test_manual_mode_with_no_replicas_is_ready_without_any():
    spec = make_spec(scaling={"mode": "Manual", "replicas": 0})
    planned = plan_for(serving(0, spec=spec, served=Served(make_summary(), 0)))

    assert verdict(planned, c.READY)[0] == "True"


def test_every_condition_is_set_at_first_sight_and_speaks_of_the_generation():
    found = plan_for(observe()).desired.status["conditions"]

    assert [x["type"] for x in found] == list(c.ALL_TYPES)
    assert {x["observedGeneration"] for x in found} == {3}


def test_a_condition_that_does_not_change_keeps_its_transition_time_and_makes_no_event():
    status = plan_for(serving()).desired.status

    again = plan_for(serving(status=status), now=400, timestamp=LATER)

    assert {x["lastTransitionTime"] for x in again.desired.status["conditions"]} == {NOON}
    assert again.desired.events == ()


def test_a_condition_that_changes_gets_a_new_transition_time_and_one_event():
    status = plan_for(serving()).desired.status
    broken = replicas(0, starting=1, problem="replica-1 ended: no such file")

    again = plan_for(serving(status=status, replicas=broken), timestamp=LATER)

    assert condition(again, c.AVAILABLE)["lastTransitionTime"] == LATER
    assert [(e.type, e.reason) for e in again.desired.events] == [("Warning", "ReplicasFailing")]


def test_the_same_input_gives_the_same_plan():
    assert plan_for(serving(2)) == plan_for(serving(2))


def test_the_start_time_is_learned_from_replicas_that_become_ready():
    memory = plan_for(serving(0, replicas=replicas(0, starting=1)), now=10).memory

    learned = plan_for(serving(1), memory, now=30).memory

    assert learned.start_seconds > memory.start_seconds


def test_the_status_holds_no_floating_point_number():
    memory = plan_for(serving(samples=(sample("uid-0", 95, 1000),)), now=95).memory
    status = plan_for(serving(samples=(sample("uid-0", 100, 2000),)), memory).desired.status

    def floats(value):
        if isinstance(value, dict):
            return [f for item in value.values() for f in floats(item)]
        if isinstance(value, list):
            return [f for item in value for f in floats(item)]
        return [value] if isinstance(value, float) else []

    assert floats(status) == []
