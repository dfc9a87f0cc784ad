"""A made-up cluster with the operator in it: one object that steps, and that tells what it did."""

import asyncio
from contextlib import ExitStack
from unittest.mock import patch

from slipstream_operator.api import schema
from slipstream_operator.cluster import reconciler
from slipstream_operator.cluster.reconciler import Reconciler
from slipstream_operator.cluster.settings import OperatorSettings
from slipstream_operator.errors import ClusterError
from slipstream_testing.states.clock import VirtualTime
from slipstream_testing.states.controllers import Controllers
from slipstream_testing.states.kube import OperatorKilledError, StoreKube
from slipstream_testing.states.node import Node
from slipstream_testing.states.store import NAMESPACE, Document, Store
from slipstream_testing.states.traffic import FiguresDouble
from slipstream_testing.states.wishes import validated

AGENT = "AgentDeployment"


class MadeUpCluster:
    """Store, controllers, node and figures in one virtual time, and the operator's reconciler, which can be lost."""

    def __init__(self) -> None:
        """Begin with nothing but an operator; `close` ends it."""
        self.clock = VirtualTime()
        self.store = Store(self.clock)
        self.kube = StoreKube(self.store)
        self.controllers = Controllers(self.store)
        self.node = Node(self.store)
        self.figures = FiguresDouble()
        self._loop = asyncio.new_event_loop()
        self._stack = ExitStack()
        self._stack.enter_context(self.clock.rules())
        self._stack.enter_context(patch.object(schema, "validate", validated))
        self._stack.enter_context(patch.object(reconciler, "Scraper", lambda: self.figures))
        self._reconciler = Reconciler(self.kube, OperatorSettings())

    def close(self) -> None:
        """End it all."""
        self._loop.close()
        self._stack.close()

    def agent(self, name: str) -> Document | None:
        """Return the AgentDeployment."""
        return self.store.find(AGENT, name)

    def restart(self) -> None:
        """Let the operator forget everything."""
        self._reconciler = Reconciler(self.kube, OperatorSettings())

    def surroundings(self, seconds: float) -> None:
        """Let time pass, and controllers and kubelet work once."""
        self.clock.seconds += seconds
        self.controllers.work()
        self.node.work()

    def turn(self, name: str) -> ClusterError | None:
        """Let the operator do one turn, and return what kept it from ending well."""
        self.kube.struck = False
        try:
            self._loop.run_until_complete(self._reconciler.reconcile((NAMESPACE, name)))
        except OperatorKilledError:
            self.restart()
            return ClusterError("killed")
        except ClusterError as error:
            return error
        return None
