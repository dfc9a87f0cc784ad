"""Writes the status on a condition: only onto the object that was judged, only when it says something new."""

import copy
from typing import Any

from slipstream_contract import names
from slipstream_operator.cluster import kinds
from slipstream_operator.cluster.children.metadata import Owner
from slipstream_operator.cluster.kube import CONFLICT, Kube
from slipstream_operator.errors import ClusterError

Document = dict[str, Any]

FIGURES_SECONDS = 10.0
ATTEMPTS = 3


def should_write(before: Document, after: Document, seconds_since_write: float) -> bool:
    """Return whether `after` must replace `before`: at once for news, every 10 s for figures that only moved."""
    if before == after:
        return False
    return _news(before) != _news(after) or seconds_since_write >= FIGURES_SECONDS


def _news(status: Document) -> Document:
    """Return the status without its figures and the sentences that carry them."""
    news = copy.deepcopy(status)
    news.pop("performance", None)
    news.get("scaling", {}).pop("reason", None)
    for condition in news.get("conditions", []):
        if condition["status"] != "False":
            condition.pop("message", None)
    return news


class StatusWriter:
    """Writes the status of one AgentDeployment, and remembers when it last did."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._written_at = float("-inf")

    async def write(self, live: Document, status: Document, now: float) -> None:
        """Give the AgentDeployment `live`, as it was read, the status at the time `now`, if that is news.

        When someone else changed the object meanwhile, its new spec is judged by the reconcile that its change
        brings; the status goes through only if the spec is still the judged one.

        Raises:
            ClusterError: it could not be written, or the object changed as often as that was tried.
        """
        if not should_write(live.get("status", {}), status, now - self._written_at):
            return
        current: Document | None = live
        for left in reversed(range(ATTEMPTS)):
            if current is None or not _same_spec(current, live):
                return
            try:
                await self._kube.apply(kinds.AGENT_DEPLOYMENT, _patch(current, status), "status")
            except ClusterError as error:
                if error.status != CONFLICT or not left:
                    raise
                current = await self._kube.get(
                    kinds.AGENT_DEPLOYMENT, live["metadata"]["namespace"], live["metadata"]["name"]
                )
            else:
                self._written_at = now
                return


def _patch(live: Document, status: Document) -> Document:
    metadata = live["metadata"]
    identity = {key: metadata[key] for key in ("namespace", "name", "uid", "resourceVersion")}
    return {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": identity, "status": status}


def _same_spec(one: Document, other: Document) -> bool:
    keys = ("uid", "generation")
    return all(one["metadata"][key] == other["metadata"][key] for key in keys)


def owner_of(live: Document) -> Owner:
    """Return the AgentDeployment as the owner of its children."""
    metadata = live["metadata"]
    return Owner(metadata["namespace"], metadata["name"], metadata["uid"])
