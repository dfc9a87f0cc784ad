"""Lets a model act in a gymnasium environment: seeded episodes that decide, and the states that a policy meets.

Every episode has a seed of its own, from which the environment starts it, so that the source model and each candidate
play the same ones and can be paired. Several copies of the environment run side by side, and their observations make
one batch for the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import gymnasium
import numpy as np

from slipstream_builder.arrays import Array, Policy, Rows, Scores
from slipstream_builder.errors import ValidationError
from slipstream_builder.validation import environments, spaces
from slipstream_builder.validation.environments import WHAT, Lane
from slipstream_contract.manifest import TensorSpec
from slipstream_contract.recipe import Environment

_SIDE_BY_SIDE = 64
_GATHERING = 16
_MOST_STATES = 64
_PROBED_STEPS = 3
_DECIDING, _MEETING = 0, 1
_SEEDS = 2**31


@dataclass(frozen=True)
class Episodes:
    """The seeded episodes that decide: the environment, the model's input that its states go to, and the seed.

    `discrete`: whether the model's output scores actions to choose from, rather than being the action.
    """

    environment: Environment
    input: TensorSpec
    seed: int
    discrete: bool = True

    @property
    def items(self) -> int:
        """The number of episodes."""
        return self.environment.episodes


def prepare(environment: Environment, inputs: tuple[TensorSpec, ...], output: TensorSpec, seed: int) -> Episodes:
    """Return the episodes, after a look at whether the environment fits the model and repeats itself under a seed.

    Raises:
        ValidationError: it is not known, does not fit, raises, or cannot be repeated.
    """
    if environment.episodes < 2:
        raise ValidationError(f"validation.environment.episodes: {environment.episodes} cannot decide; take 2 or more")
    with environments.lanes(environment.id, 2) as (one, other):
        spaces.check(one.env.observation_space, one.env.action_space, inputs, output, f"{WHAT}: {environment.id}")
        _check_repeats(one, other, seed)
        discrete = isinstance(one.env.action_space, gymnasium.spaces.Discrete)
    return Episodes(environment, inputs[0], seed, discrete)


def play(policy: Policy, episodes: Episodes) -> Scores:
    """Return the return (sum of rewards) of every episode; NaN for one in which the policy gave NaN or infinity.

    Raises:
        ValidationError: the environment raises, gives NaN, or does not end; or the outputs do not fit its actions.
    """
    seeds = [
        int(one) for one in np.random.default_rng([episodes.seed, _DECIDING]).integers(_SEEDS, size=episodes.items)
    ]
    returns = np.full(episodes.items, np.nan)
    with environments.lanes(episodes.environment.id, min(_SIDE_BY_SIDE, episodes.items)) as busy:
        for number, lane in enumerate(busy):
            lane.start(number, seeds[number])
        waiting = iter(range(len(busy), episodes.items))
        playing = list(busy)
        while playing:
            for lane in _step(playing, policy, episodes):
                returns[lane.episode] = lane.total
                if (number := next(waiting, -1)) >= 0:
                    lane.start(number, seeds[number])
                else:
                    playing.remove(lane)
    return returns


def states(policy: Policy, episodes: Episodes, items: int, seed: int) -> dict[str, Array]:
    """Return `items` states met by `policy`, spread over whole episodes other than those that decide, seeded.

    States of one episode resemble each other, so more are met than are kept, until several episodes have ended; kept is
    a uniform sample (reservoir sampling, Vitter 1985).

    Raises:
        ValidationError: as `play`; or the policy gave NaN or infinity.
    """
    generator = np.random.default_rng([seed, _MEETING])
    kept: list[Array] = []
    seen = ended = 0
    with environments.lanes(episodes.environment.id, _GATHERING) as playing:
        for lane in playing:
            lane.start(0, int(generator.integers(_SEEDS)))
        while seen < items or (ended < _GATHERING and seen < _MOST_STATES * items):
            for lane in playing:
                seen += 1
                _keep(kept, lane.observation, items, int(generator.integers(seen)))
            for lane in _step(playing, policy, episodes):
                if np.isnan(lane.total):
                    raise ValidationError(
                        f"{WHAT}: in {lane.name} the model gave NaN or infinity, so no states are met"
                    )
                ended += 1
                lane.start(0, int(generator.integers(_SEEDS)))
    return {episodes.input.name: spaces.stack(kept, episodes.input)}


def _keep(kept: list[Array], state: Array, most: int, place: int) -> None:
    if len(kept) < most:
        kept.append(state)
    elif place < most:
        kept[place] = state


def _step(lanes: Sequence[Lane], policy: Policy, episodes: Episodes) -> list[Lane]:
    """Let the policy act once in every lane; return those whose episode ended."""
    rows: Rows = {episodes.input.name: spaces.stack([lane.observation for lane in lanes], episodes.input)}
    output = np.asarray(policy(rows))
    if output.ndim == 0 or len(output) != len(lanes):
        raise ValidationError(f"{WHAT}: the model gave {list(output.shape)} for {len(lanes)} states, not [states, ...]")
    finite = np.isfinite(output.reshape(len(lanes), -1)).all(axis=1)
    sound = np.where(np.isfinite(output), output, 0)
    actions = spaces.actions(lanes[0].env.action_space, sound, f"{WHAT}: {episodes.environment.id}")
    return [
        lane
        for lane, action, well in zip(lanes, actions, finite, strict=True)
        if (lane.act(action) if well else lane.give_up())
    ]


def _check_repeats(one: Lane, other: Lane, seed: int) -> None:
    """Refuse an environment whose episodes cannot be paired, because one seed gives two of them."""
    actions = one.env.action_space
    actions.seed(seed)
    one.start(0, seed)
    other.start(0, seed)
    for _ in range(_PROBED_STEPS):
        action = actions.sample()
        ended = [one.act(action), other.act(action)]
        if not np.array_equal(one.observation, other.observation) or one.total != other.total:
            raise ValidationError(
                f"{WHAT}: {one.name} gave two different episodes for one seed, so models cannot be compared in it; "
                "draw all its chances from self.np_random"
            )
        if any(ended):
            return
