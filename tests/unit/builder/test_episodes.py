"""A model acts in an environment: seeded, paired, side by side, and every fault of the environment in one line."""

import numpy as np
import pytest

from slipstream_builder.errors import ValidationError
from slipstream_builder.validation import environments, episodes
from slipstream_contract.manifest import TensorSpec
from slipstream_contract.recipe import Environment
from slipstream_testing.environments import ACTIONS, FEATURES, STEPS

MODULE = "slipstream_testing.environments:"
STATE = TensorSpec("state", "FP32", (-1, FEATURES))
SCORES = TensorSpec("scores", "FP32", (-1, ACTIONS))
STEER = TensorSpec("steer", "FP32", (-1, 1))


def prepared(name="Choosing-v0", number=10, inputs=(STATE,), output=SCORES, seed=3):
    return episodes.prepare(Environment(MODULE + name, number), inputs, output, seed)


def wise(rows):
    return rows["state"][:, :ACTIONS]


def foolish(rows):
    return -rows["state"][:, :ACTIONS]


def test_the_best_policy_earns_every_reward_and_the_worst_none():
    assert episodes.play(wise, prepared()).tolist() == [STEPS] * 10
    assert episodes.play(foolish, prepared()).tolist() == [0] * 10


def test_every_policy_plays_the_same_episodes_and_the_same_again():
    def first_action(rows):
        return np.tile([1.0, 0.0, 0.0], (len(rows["state"]), 1))

    returns = episodes.play(first_action, prepared(number=200))
    assert (returns == episodes.play(first_action, prepared(number=200))).all()
    assert (returns != episodes.play(first_action, prepared(number=200, seed=4))).any()
    assert returns.mean() == pytest.approx(STEPS / ACTIONS, rel=0.2)


def test_more_episodes_begin_with_those_of_fewer():
    def first_action(rows):
        return np.tile([1.0, 0.0, 0.0], (len(rows["state"]), 1))

    few, many = (episodes.play(first_action, prepared(number=number)) for number in (70, 140))
    assert (few == many[:70]).all()


def test_the_model_sees_many_episodes_as_one_batch_in_its_own_dtype():
    seen = []

    def watching(rows):
        seen.append((rows["state"].dtype, len(rows["state"])))
        return wise(rows)

    episodes.play(watching, prepared(number=128))
    assert {dtype for dtype, _ in seen} == {np.dtype(np.float32)}
    assert [size for _, size in seen] == [64] * 2 * STEPS


def test_actions_of_a_box_are_clipped_to_it_and_returns_may_be_negative():
    given = prepared("Steering-v0", output=STEER)
    assert episodes.play(lambda rows: rows["state"][:, :1] * 1.0, given) == pytest.approx(np.zeros(10), abs=1e-5)
    assert (episodes.play(lambda rows: np.full((len(rows["state"]), 1), 1e9), given) < 0).all()


def test_an_episode_in_which_the_model_gives_nan_has_no_return_and_the_others_go_on():
    given = prepared(number=100)
    spoilt = []

    def failing_once(rows):
        output = wise(rows)
        if not spoilt:
            spoilt.append(True)
            output = output.copy()
            output[7] = np.nan
        return output

    returns = episodes.play(failing_once, given)
    assert np.flatnonzero(np.isnan(returns)).tolist() == [7]
    assert (np.delete(returns, 7) == STEPS).all()


def test_states_come_from_whole_episodes_seeded_and_unlike_each_other():
    given = prepared()
    met = episodes.states(wise, given, 40, seed=1)["state"]
    assert met.shape == (40, FEATURES)
    assert met.dtype == np.float32
    assert len(np.unique(met, axis=0)) == 40
    assert (met == episodes.states(wise, given, 40, seed=1)["state"]).all()
    assert (met != episodes.states(wise, given, 40, seed=2)["state"]).any()


def test_states_are_those_the_policy_itself_reaches():
    given = episodes.prepare(Environment("CartPole-v1", 10), (STATE,), TensorSpec("scores", "FP32", (-1, 2)), 0)

    def pushes_right(rows):
        return np.tile([0.0, 1.0], (len(rows["state"]), 1))

    met = episodes.states(pushes_right, given, 40, seed=0)["state"]
    speeds = met[:, 1]  # near 0 at an episode's start, and above 1.5 at its end
    assert (speeds < 0.5).any()
    assert (speeds > 1.2).any()


def test_a_registered_environment_of_gymnasium_is_played():
    given = episodes.prepare(Environment("CartPole-v1", 20), (STATE,), TensorSpec("scores", "FP32", (-1, 2)), 0)
    balanced = episodes.play(lambda rows: np.stack([-rows["state"][:, 2], rows["state"][:, 2]], 1), given)
    assert 10 < balanced.mean() < 200


def test_numbered_states_go_to_a_column_of_integers():
    number = TensorSpec("state", "INT64", (-1, 1))
    given = episodes.prepare(Environment("FrozenLake-v1", 5), (number,), TensorSpec("scores", "FP32", (-1, 4)), 0)
    shapes = set()

    def walking(rows):
        shapes.add((rows["state"].dtype, rows["state"].shape[1:]))
        return np.tile([0.0, 0.0, 1.0, 0.0], (len(rows["state"]), 1))

    episodes.play(walking, given)
    assert shapes == {(np.dtype(np.int64), (1,))}


@pytest.mark.parametrize(
    ("name", "inputs", "output", "words"),
    [
        ("CartPoleX-v1", (STATE,), SCORES, "'CartPoleX-v1' is not known.*such as CartPole-v1"),
        ("cart pole", (STATE,), SCORES, "is not known"),
        ("no_such_module:Thing-v0", (STATE,), SCORES, "needs a module that the builder image lacks"),
        (MODULE + "Unmade-v0", (STATE,), SCORES, "cannot be made"),
        (MODULE + "Packed-v0", (STATE,), SCORES, "observations are Dict.*wrap it"),
        ("Blackjack-v1", (STATE,), SCORES, "observations are Tuple.*wrap it"),
        (MODULE + "Pairs-v0", (STATE,), SCORES, "actions are MultiDiscrete, not Discrete or Box"),
        (MODULE + "Choosing-v0", (STATE, STATE), SCORES, "the model has 2 inputs"),
        (MODULE + "Choosing-v0", (TensorSpec("x", "FP32", (-1, 7)),), SCORES, r"have shape \[4\].*takes \[items, 7\]"),
        (MODULE + "Choosing-v0", (TensorSpec("x", "INT64", (-1, 4)),), SCORES, "are float64, the model takes int64"),
        (
            MODULE + "Choosing-v0",
            (STATE,),
            TensorSpec("y", "FP32", (-1, 5)),
            r"3 actions need.*\[items, 3\].*\[items, 5\]",
        ),
        (MODULE + "Steering-v0", (STATE,), SCORES, r"actions need a first output \[items, 1\]"),
        (MODULE + "Fault-chance-v0", (STATE,), SCORES, "two different episodes for one seed"),
        (MODULE + "Fault-raises-v0", (STATE,), SCORES, "raised RuntimeError in step 2 .the motor is stuck."),
        (MODULE + "Fault-reward-v0", (STATE,), SCORES, "gave a reward of nan in step 1"),
        (MODULE + "Fault-state-v0", (STATE,), SCORES, "gave NaN or infinity for a state"),
        (MODULE + "Fault-shape-v0", (STATE,), SCORES, r"gave a state of float64 \[2\], its space says float64 \[4\]"),
    ],
)
def test_an_environment_that_cannot_decide_is_refused_in_one_line(name, inputs, output, words):
    with pytest.raises(ValidationError, match=words) as refused:
        episodes.prepare(Environment(name, 10), inputs, output, seed=0)
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith("validation.environment.id: ")


def test_one_episode_cannot_decide():
    with pytest.raises(ValidationError, match="episodes: 1 cannot decide"):
        prepared(number=1)


def test_an_episode_without_an_end_is_refused(monkeypatch):
    monkeypatch.setattr(environments, "MAX_STEPS", 50)
    with pytest.raises(ValidationError, match="did not end within 50 steps; register it with max_episode_steps"):
        episodes.play(wise, prepared("Fault-endless-v0"))


def test_outputs_of_another_width_than_declared_are_refused_while_playing():
    with pytest.raises(
        ValidationError, match=r"3 actions need a first output \[items, 3\], the model's is \[items, 4\]"
    ):
        episodes.play(lambda rows: rows["state"], prepared(output=TensorSpec("y", "FP32", (-1, -1))))
