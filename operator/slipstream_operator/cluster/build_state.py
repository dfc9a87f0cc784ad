"""Reads how a build stands from its Job and the Job's pods."""

from functools import lru_cache
from typing import Any

from slipstream_contract.errors import ContractError
from slipstream_contract.summary import BuildSummary
from slipstream_operator.cluster.children.metadata import ANNOTATION_SUMMARY
from slipstream_operator.cluster.pod_state import trouble
from slipstream_operator.reconcile.observation import Build

Document = dict[str, Any]

TEXTS = 256
"""Summaries that are remembered as read: a turn reads the same one several times."""


def build_of(job: Document | None, pods: list[Document]) -> Build:
    """Return the state of the build that `job` runs; `pods` are the Job's own."""
    if job is None:
        return Build("Absent")
    name = job["metadata"]["name"]
    summary = recorded_summary(job) or reported_summary(pods)
    if summary is not None and summary.succeeded:
        # The artifact is in the store; that the Job's controller has yet to notice the pod's end changes nothing.
        return Build("Succeeded", summary.message, summary, name)
    if (failure := _condition(job, "Failed")) is not None:
        words = summary.message if summary is not None else _failure(failure, pods)
        return Build("Failed", f"{words.rstrip('.')}; to build the same spec again, delete job {name}", summary, name)
    if _condition(job, "Complete") is not None:
        # The pods with the result are gone before we read it: an Absent build is made again, from the store's cache.
        return Build("Absent", job=name)
    return Build("Running", _progress(job, pods), job=name)


def is_over(job: Document) -> bool:
    """Return whether the Job has ended."""
    return _condition(job, "Complete") is not None or _condition(job, "Failed") is not None


def recorded_summary(job: Document) -> BuildSummary | None:
    """Return the summary that was kept on the Job, if it was."""
    return parsed_summary(job["metadata"].get("annotations", {}).get(ANNOTATION_SUMMARY, ""))


def reported_summary(pods: list[Document]) -> BuildSummary | None:
    """Return the summary of the builder that ended last and left one."""
    endings = sorted(_endings(pods), key=lambda ending: str(ending.get("finishedAt", "")), reverse=True)
    summaries = (parsed_summary(ending.get("message", "")) for ending in endings)
    return next((summary for summary in summaries if summary is not None), None)


@lru_cache(TEXTS)
def parsed_summary(text: str) -> BuildSummary | None:
    """Return the summary in `text`, or None where that is none."""
    try:
        return BuildSummary.from_json(text) if text else None
    except ContractError:
        return None


def _endings(pods: list[Document]) -> list[Document]:
    statuses = [status for pod in pods for status in pod.get("status", {}).get("containerStatuses", [])]
    return [status["state"]["terminated"] for status in statuses if "terminated" in status.get("state", {})]


def _condition(job: Document, kind: str) -> Document | None:
    conditions = job.get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == kind and c["status"] == "True"), None)


def _progress(job: Document, pods: list[Document]) -> str:
    problems = [words for words in map(trouble, pods) if words]
    if problems:
        return problems[0]
    running = [pod for pod in pods if pod.get("status", {}).get("phase") == "Running"]
    attempts = job.get("status", {}).get("failed", 0)
    again = f" (attempt {attempts + 1})" if attempts else ""
    return f"the builder runs{again}" if running else f"the builder's pod is starting{again}"


def _failure(outcome: Document, pods: list[Document]) -> str:
    """Return what is known of a build that left no summary."""
    endings = [e for e in _endings(pods) if e.get("exitCode")]
    if any(ending.get("reason") == "OOMKilled" for ending in endings):
        return "the builder ran out of memory; give builds more with the operator's --builder-memory"
    if outcome.get("reason") == "DeadlineExceeded":
        return "the build did not end in time; raise spec.compression.budgetSeconds"
    codes = f" (exit status {endings[-1]['exitCode']})" if endings else ""
    return f"the builder ended without a result{codes}: {outcome.get('message') or outcome.get('reason', '')}"
