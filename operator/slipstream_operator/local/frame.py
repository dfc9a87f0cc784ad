"""One moment of a local run, as the views show it."""

from dataclasses import dataclass

from slipstream_contract.progress import Progress
from slipstream_operator.api import conditions
from slipstream_operator.reconcile.observation import Observation
from slipstream_operator.reconcile.plan import Plan


@dataclass(frozen=True)
class Frame:
    """What is known at `elapsed` seconds of the run; `phase` says in words what the load does, if it runs.

    `call` is how a person calls the deployment.
    """

    elapsed: float
    observation: Observation
    plan: Plan
    progress: tuple[Progress, ...]
    phase: str = ""
    call: str = ""

    def condition(self, kind: str) -> tuple[str, str, str]:
        """Return status, reason and message of one condition."""
        (found,) = [c for c in self.plan.desired.status["conditions"] if c["type"] == kind]
        return found["status"], found["reason"], found["message"]

    @property
    def ready(self) -> bool:
        """Whether the current spec is built and answering."""
        return self.condition(conditions.READY)[0] == "True"
