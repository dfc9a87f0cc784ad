"""How the replicas of one template take over from those before: new ones first, or old ones out where room lacks."""

from dataclasses import dataclass

from slipstream_operator.reconcile.observation import Observation
from slipstream_operator.scaling.tuning import Tuning


@dataclass(frozen=True)
class Strategy:
    """How many replicas may be missing during a rollout; with 0, new ones come up before old ones go."""

    max_unavailable: int = 0

    @property
    def swaps(self) -> bool:
        """Whether old replicas go before new ones come up."""
        return self.max_unavailable > 0


SURGE = Strategy()


def is_rolling(observation: Observation) -> bool:
    """Return whether replicas of another template are still there."""
    return any(not replica.current for replica in observation.replicas)


def lacks_room(observation: Observation, tuning: Tuning) -> bool:
    """Return whether new replicas have found no place for long enough to believe that none comes."""
    state = observation.rollout
    return bool(state.no_room) and state.no_room_seconds >= tuning.room_seconds


def strategy(observation: Observation, replicas: int, tuning: Tuning) -> Strategy:
    """Return how to go on with the rollout to `replicas` replicas; whatever is not a rollout surges.

    One replica that answers is given up at a time, and never one of the last `minAvailable`. A swap that has begun
    keeps as many as it began with: how many answer at the moment would fall with every replica that it takes.
    """
    least = observation.spec.rollout.min_available
    if not is_rolling(observation) or replicas <= least:
        return SURGE
    began = observation.rollout.max_unavailable
    if began and observation.served is not None:
        keep = max(least, observation.served.replicas - began)
        return Strategy(max(1, replicas - keep))
    ready = sum(replica.ready for replica in observation.replicas)
    if not lacks_room(observation, tuning) or ready <= least:
        return SURGE
    return Strategy(max(1, replicas - (ready - 1)))


def start_failure(observation: Observation) -> str:
    """Return why the new replicas do not start, or nothing.

    That they wait for room is no failure of theirs, unless they still do when old ones have gone for them.
    """
    if not is_rolling(observation):
        return ""
    state = observation.rollout
    problems = (replica.problem for replica in observation.replicas if replica.current and replica.problem)
    if problem := "" if state.no_room else next(problems, ""):
        return problem
    if not state.stalled or (state.no_room and not state.max_unavailable):
        return ""
    deadline = observation.spec.rollout.progress_deadline_seconds
    words = f"no new replica became ready within {deadline} s (spec.rollout.progressDeadlineSeconds)"
    return f"{words}: {state.no_room}" if state.no_room else words


def must_revert(observation: Observation) -> str:
    """Return why to go back to what last served, or nothing: only where the rollout has taken replicas that answered.

    A surge takes none, so that it may go on trying: the cause can pass, and a newer spec replaces it at any time.
    """
    if observation.failed_start:
        return observation.failed_start
    return start_failure(observation) if observation.rollout.max_unavailable else ""
