"""All that a plan decided about one observation, for those who tell it."""

from dataclasses import dataclass

from slipstream_operator.reconcile.revisions import Revision
from slipstream_operator.reconcile.rollout import Strategy
from slipstream_operator.reconcile.target import Target
from slipstream_operator.reconcile.traffic import Traffic
from slipstream_operator.reconcile.variants import Choice
from slipstream_operator.scaling.model import Decision


@dataclass(frozen=True)
class Verdict:
    """What should serve, how many replicas with which variant, how they take over; and what the traffic was.

    `decision` and `choice` are None while there is nothing to serve.
    """

    target: Target
    decision: Decision | None
    choice: Choice | None
    strategy: Strategy
    traffic: Traffic
    kept: tuple[Revision, ...]

    @property
    def replicas(self) -> int:
        """The replicas wanted."""
        return self.decision.replicas if self.decision else 0
