"""Opens copies of a gymnasium environment and steps them, with every failure of theirs in words."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np

from slipstream_builder.arrays import Array
from slipstream_builder.errors import ValidationError

Env = gymnasium.Env[Any, Any]
MAX_STEPS = 50_000
WHAT = "validation.environment.id"


class Lane:
    """One copy of the environment, and the episode that runs in it.

    `episode` is its number, `observation` the present state, `total` the sum of rewards so far.
    """

    def __init__(self, env: Env, name: str) -> None:
        self.env, self.name = env, name
        self.episode, self.total, self._steps = 0, 0.0, 0
        self.observation: Array = np.empty(0)

    def start(self, episode: int, seed: int) -> None:
        """Begin an episode.

        Raises:
            ValidationError: the environment raises, or gives a state that is not one of its space.
        """
        self.episode, self.total, self._steps = episode, 0.0, 0
        with _in_words(self.name, f"at the start of the episode with seed {seed}"):
            observation, _ = self.env.reset(seed=seed)
        self._observe(observation)

    def act(self, action: Any) -> bool:
        """Take one step and return whether the episode ended.

        Raises:
            ValidationError: as `start`; or the reward is no finite number, or the episode does not end.
        """
        self._steps += 1
        with _in_words(self.name, f"in step {self._steps}"):
            observation, reward, terminated, truncated, _ = self.env.step(action)
            self.total += float(reward)
        self._observe(observation)
        if not np.isfinite(self.total):
            raise ValidationError(f"{WHAT}: {self.name} gave a reward of {reward} in step {self._steps}; mend it")
        ended = bool(terminated or truncated)
        if self._steps >= MAX_STEPS and not ended:
            raise ValidationError(
                f"{WHAT}: an episode of {self.name} did not end within {MAX_STEPS} steps; register it with "
                "max_episode_steps"
            )
        return ended

    def give_up(self) -> bool:
        """End the episode without a return, and return True."""
        self.total = float("nan")
        return True

    def _observe(self, observation: Any) -> None:
        # A copy: an environment may write the next state into the same memory.
        self.observation = np.array(observation)
        shape = self.env.observation_space.shape or ()
        if self.observation.shape != shape or self.observation.dtype.kind not in "fiub":
            raise ValidationError(
                f"{WHAT}: {self.name} gave a state of {self.observation.dtype} {list(self.observation.shape)}, its "
                f"space says {self.env.observation_space.dtype} {list(shape)}; mend it"
            )
        if self.observation.dtype.kind == "f" and not np.isfinite(self.observation).all():
            raise ValidationError(f"{WHAT}: {self.name} gave NaN or infinity for a state (step {self._steps}); mend it")


@contextlib.contextmanager
def lanes(name: str, number: int) -> Iterator[list[Lane]]:
    """Open `number` copies of the environment, without its warnings, and close them.

    Raises:
        ValidationError: there is none of that name, or it cannot be made.
    """
    opened: list[Lane] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            opened.extend(Lane(_make(name), name) for _ in range(number))
            yield opened
        finally:
            for lane in opened:
                with contextlib.suppress(Exception):
                    lane.env.close()


def _make(name: str) -> Env:
    try:
        return gymnasium.make(name, disable_env_checker=True)
    except gymnasium.error.DependencyNotInstalled as error:
        raise ValidationError(
            f"{WHAT}: {name} needs a package that the builder image lacks ({_words(error)})"
        ) from error
    except ModuleNotFoundError as error:
        raise ValidationError(
            f"{WHAT}: {name} needs a module that the builder image lacks ({_words(error)}); install it there"
        ) from error
    except gymnasium.error.Error as error:
        raise ValidationError(
            f"{WHAT}: {name!r} is not known ({_words(error)}); write a registered id such as CartPole-v1, or "
            "module:Id-v0 for one of your own in the builder image"
        ) from error
    except Exception as error:  # an environment's own constructor may raise anything
        raise ValidationError(f"{WHAT}: {name} cannot be made ({type(error).__name__}: {_words(error)})") from error


@contextlib.contextmanager
def _in_words(name: str, when: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # an environment is the user's own program
        raise ValidationError(
            f"{WHAT}: {name} raised {type(error).__name__} {when} ({_words(error)}); mend it"
        ) from error


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
