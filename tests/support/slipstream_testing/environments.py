"""Tiny gymnasium environments, sound and faulty, named as `slipstream_testing.environments:NAME-v0`."""

import random
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

FEATURES, ACTIONS, STEPS = 4, 3, 5


class Choosing(gymnasium.Env):
    """Shows random numbers for a few steps and pays 1 for the place of the largest of the first three."""

    observation_space = spaces.Box(-np.inf, np.inf, (FEATURES,), np.float64)
    action_space: Any = spaces.Discrete(ACTIONS)

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.left = 0
        self.state = np.zeros(FEATURES)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.left = STEPS
        return self._show(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if self.fault == "raises" and self.left < STEPS:
            raise RuntimeError("the motor\nis stuck")
        reward = self._reward(action)
        if self.fault != "endless":
            self.left -= 1
        return self._show(), np.nan if self.fault == "reward" else reward, self.left == 0, False, {}

    def _reward(self, action: Any) -> float:
        return float(int(action) == int(self.state[:ACTIONS].argmax()))

    def _show(self) -> Any:
        # Into the same memory, as environments that care for speed do.
        self.state[:] = self.np_random.standard_normal(FEATURES)
        if self.fault == "chance":
            self.state[0] = random.random()
        if self.fault == "state" and self.left < STEPS:
            self.state[1] = np.nan
        return self.state[:2] if self.fault == "shape" and self.left < STEPS else self.state


class Steering(Choosing):
    """Shows random numbers and pays for an action, within -1 and 1, that is near the first of them; never above 0."""

    action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)

    def _reward(self, action: Any) -> float:
        if not self.action_space.contains(action):
            raise ValueError(f"{action} is no action")
        return -abs(float(action[0]) - float(np.clip(self.state[0], -1, 1)))


class Packed(Choosing):
    """Like Choosing, but its observations are a dictionary."""

    observation_space: Any = spaces.Dict({"state": Choosing.observation_space})


class Pairs(Choosing):
    """Like Choosing, but takes two actions at a time."""

    action_space = spaces.MultiDiscrete([ACTIONS, ACTIONS])


def _needs_an_argument(missing: int) -> Choosing:
    raise AssertionError(missing)


for _name, _kind in (("Choosing", Choosing), ("Steering", Steering), ("Packed", Packed), ("Pairs", Pairs)):
    gymnasium.register(f"{_name}-v0", entry_point=_kind)
for _fault in ("raises", "reward", "state", "shape", "chance", "endless"):
    gymnasium.register(f"Fault-{_fault}-v0", entry_point=Choosing, kwargs={"fault": _fault})
gymnasium.register("Unmade-v0", entry_point=_needs_an_argument)
