"""Gives an autoscaler its starting point: in mode External, the replicas that there are, once, where the spec has none.

The scale subresource cannot be read without a number in the spec, so that an autoscaler would never begin; and a number
that everybody had to write would be put back by each later apply, against the autoscaler's.
"""

from typing import Any

from slipstream_operator.api.spec import AgentSpec
from slipstream_operator.cluster import kinds
from slipstream_operator.cluster.kube import CONFLICT, Kube
from slipstream_operator.errors import ClusterError

SCALE = "scale"


async def hand_over(kube: Kube, live: dict[str, Any], spec: AgentSpec, replicas: int) -> None:
    """Write `replicas` into the AgentDeployment `live` if an autoscaler is to own the number and nobody gave one yet.

    Raises:
        ClusterError: the API server refused; but that somebody else wrote meanwhile is no failure, for theirs counts.
    """
    if spec.scaling.mode != "External" or spec.scaling.replicas is not None:
        return
    metadata = live["metadata"]
    # No server-side apply: of a custom resource's scale the API server takes it only once somebody owns the number.
    change = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "spec": {"replicas": replicas}}
    try:
        await kube.merge(kinds.AGENT_DEPLOYMENT, metadata["namespace"], metadata["name"], change, SCALE)
    except ClusterError as error:
        if error.status != CONFLICT:
            raise
