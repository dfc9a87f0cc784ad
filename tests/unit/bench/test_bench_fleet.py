"""The operator's benchmark reads what was measured rightly, and says which promise was missed."""

import json
from dataclasses import replace

import pytest
from bench.fleet import figures, results
from bench.shared import page
from bench.shared.machine import Machine

from slipstream_operator.cluster.figures import Process, text
from slipstream_operator.cluster.health import Health
from slipstream_operator.cluster.turns import EDGES_SECONDS, Turns

HEALTH = Health(True, 0.0, 0.0, 0.0, 0, 0.0)
KEPT = results.Results(
    day="2026-01-01",
    agents=1000,
    pods=5100,
    all_ready=240.0,
    converged=60.0,
    memory=256.0,
    idle=300.0,
    idle_writes=0,
    reconcile_p99=2.0,
    turns=9000,
    failed_turns=1,
    to_job=1.0,
    machine=Machine("a processor", 2, 8 << 30, ("avx2",), "Linux 6", {"onnxruntime": "1.32"}),
)


def told(counts, ready=0, failed=0):
    """Return what the benchmark reads from the operator's own page about turns in these buckets."""
    turns = Turns()
    turns.counts[: len(counts)] = counts
    turns.failed = failed
    return figures.read(text(HEALTH, turns, {"True": ready, "False": 1}, Process("0.1", 1.0, 1 << 20)))


def audited(verb, resource):
    return {"verb": verb, "objectRef": {"resource": resource}}


def test_the_operators_own_page_tells_its_turns_and_who_is_ready():
    page = told([3, 4], ready=7, failed=2)
    assert (page.agents_ready, page.turns, page.failed) == (7, 7, 2)
    assert [edge for edge, _ in page.buckets] == [*EDGES_SECONDS, float("inf")]


def test_a_quantile_lies_within_the_bucket_that_holds_it():
    page = told([50, 50])
    assert page.quantile(0.5) == pytest.approx(0.01)
    assert page.quantile(0.75) == pytest.approx(0.0175)


def test_turns_slower_than_the_last_edge_break_the_promise_whatever_they_took():
    assert told([0] * len(EDGES_SECONDS) + [100]).quantile(0.99) > EDGES_SECONDS[-1]


def test_only_what_the_operator_writes_counts_and_not_its_lease():
    lines = [
        audited("patch", "deployments"),
        audited("create", "events"),
        audited("patch", "deployments"),
        audited("update", "leases"),
        audited("get", "agentdeployments"),
        audited("watch", "pods"),
    ]
    assert figures.writes(lines) == {"create events": 1, "patch deployments": 2}


def test_requests_for_no_object_are_no_writes():
    assert figures.writes([{"verb": "get", "requestURI": "/version"}]) == {}


def test_what_is_promised_at_most_may_be_reached():
    assert all(promise.kept for promise in results.promises(KEPT))
    assert results.line(KEPT).startswith("operator: ok 1000 AgentDeployments, 5100 pods; restart to converged 60.0 s")


@pytest.mark.parametrize(
    ("missed", "words"),
    [
        ({"converged": 60.1}, "restart to converged 60.1 s, not at most 60"),
        ({"memory": 257.0}, "most memory 257 MiB, not at most 256"),
        ({"idle_writes": 1}, "writes in 300 idle seconds 1, not at most 0"),
        ({"reconcile_p99": 2.5}, "reconcile, p99 2.50 s, not at most 2"),
        ({"to_job": 1.25}, "apply to the first build Job 1.25 s, not at most 1"),
    ],
)
def test_each_missed_promise_is_named_with_both_figures(missed, words):
    line = results.line(replace(KEPT, **missed))
    assert line == f"operator: failed 1000 AgentDeployments, 5100 pods; {words}"


def test_the_table_says_which_promise_was_missed(tmp_path, monkeypatch):
    reliability = tmp_path / "reliability.md"
    reliability.write_text(f"before\n<!-- make bench-operator writes from here -->\n\nold\n\n{page.END}\nafter\n")
    monkeypatch.setattr(results, "PAGE", tmp_path / "benchmarks.md")
    monkeypatch.setattr(results, "FILE", tmp_path / "results.json")

    results.keep(replace(KEPT, memory=300.0))

    written = reliability.read_text()
    assert "| most memory | 300 MiB | 256 MiB | missed |" in written
    assert "| apply to the first build Job | 1.00 s | 1 s | kept |" in written
    assert "old" not in written
    assert json.loads((tmp_path / "results.json").read_text())["idle_writes"] == 0
