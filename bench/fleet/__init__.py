"""The operator with many AgentDeployments: a real control plane, nodes and pods that kwok plays, replicas that answer.

Everything runs in a network namespace of its own, in which the pods' addresses are this machine's: one small server
answers the operator's scrapes for all of them.
"""

import sys
from pathlib import Path

# The control plane, the operator's process and the player are shared with the tests.
sys.path.append(str(Path(__file__).parents[2] / "tests" / "support"))
