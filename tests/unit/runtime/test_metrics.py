"""What a process counts, what several add up to, and the same under Triton's names."""

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from slipstream_contract import metrics
from slipstream_contract.metrics import latency_buckets
from slipstream_operator.scaling.exposition import parse
from slipstream_runtime.observing import families
from slipstream_runtime.observing.collector import Collector, Identity
from slipstream_runtime.observing.telemetry import GRPC, Telemetry
from slipstream_runtime.observing.triton import aliases
from slipstream_runtime.workers.channel import Message, decode, encode
from slipstream_runtime.workers.fleet import SILENT_SECONDS, Fleet
from slipstream_testing.replicas import replica


class Backlog:
    queued_rows = 3
    queued_requests = 2

    class line:  # noqa: N801
        alpha = 0.002
        beta = 0.0005


def collector(telemetry, **more):
    return Collector(telemetry, Backlog(), Identity("m", "sha256:1", "small"), **more)


def read(found):
    text = families.text(found).decode()
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def busy(seconds, rows=4, answers=2):
    telemetry = Telemetry(0.04)
    telemetry.computed(rows, seconds, answers)
    for _ in range(answers):
        telemetry.answered(200, 0.01)
        telemetry.served("small", rows // answers)
    return telemetry


def test_a_bucket_ends_exactly_at_the_objective():
    assert 0.04 in latency_buckets(0.04)
    found = read(collector(busy(0.01)).collect())
    assert found[(f"{metrics.REQUEST_SECONDS}_bucket", ("code", "200"), ("le", "0.04"), ("protocol", "http"))] == 2
    assert found[(f"{metrics.REQUEST_SECONDS}_bucket", ("code", "200"), ("le", "0.0075"), ("protocol", "http"))] == 0


def test_protocols_and_codes_are_counted_apart():
    telemetry = Telemetry(0.1)
    telemetry.answered(200, 0.001)
    telemetry.answered(429, 0.001)
    telemetry.answered(200, 0.001, GRPC)
    found = read(collector(telemetry).collect())
    name = f"{metrics.REQUEST_SECONDS}_count"
    counts = {key[1:]: value for key, value in found.items() if key[0] == name}
    assert counts == {
        (("code", "200"), ("protocol", "http")): 1,
        (("code", "429"), ("protocol", "http")): 1,
        (("code", "200"), ("protocol", "grpc")): 1,
    }


def test_a_request_that_a_further_level_answers_is_one_hit():
    telemetry = Telemetry(0.1)
    telemetry.responses.misses = telemetry.answers.misses = 10
    telemetry.redis.hits, telemetry.redis.misses = 4, 6
    assert (telemetry.cache_hits, telemetry.cache_misses) == (4, 6)


def test_counters_and_histograms_of_several_processes_are_sums():
    merged = read(families.merge([collector(busy(0.5)).collect(), collector(busy(0.3)).collect()], [], 2))
    assert merged[(f"{metrics.REQUEST_SECONDS}_count", ("code", "200"), ("protocol", "http"))] == 4
    assert merged[(metrics.ROWS_TOTAL, ("variant", "small"))] == 8
    assert merged[(metrics.PROCESSES,)] == 2
    assert merged[(metrics.QUEUED_ROWS,)] == 6
    assert merged[(metrics.LATENCY_ALPHA_SECONDS,)] == 0.002


def test_utilisation_stays_a_share_however_many_processes_there_are():
    merged = read(families.merge([collector(busy(1.0)).collect()] * 8, [], 8))
    assert merged[(metrics.BUSY_SECONDS_TOTAL,)] == 1.0


def test_no_counter_falls_when_a_process_is_gone():
    first, second = collector(busy(0.5)).collect(), collector(busy(0.3)).collect()
    before = read(families.merge([first, second], [], 2))
    after = read(families.merge([second], families.counted(first), 2))
    kept = {"_total", "_count", "_bucket", "_sum"}
    for key, value in before.items():
        if any(key[0].endswith(end) for end in kept):
            assert after[key] >= value - 1e-9
    assert after[(metrics.PROCESSES,)] == 1


def test_metrics_survive_the_way_between_processes():
    found = collector(busy(0.5)).collect()
    assert decode(encode(Message("status", families=found))).families == found


def test_labels_are_escaped():
    one = families.gauge("x", "text", [((("name", 'a"b\\c\nd'),), 1)])
    (family,) = text_string_to_metric_families(families.text([one]).decode())
    assert family.samples[0].labels == {"name": 'a"b\\c\nd'}


def test_the_operator_reads_what_several_processes_report_and_takes_only_shed_load_for_load():
    telemetry = busy(0.5)
    telemetry.answered(401, 0.001)
    telemetry.rejected[metrics.AUTHENTICATION] = 1
    telemetry.answered(429, 0.001)
    telemetry.rejected[metrics.OVERLOAD] = 1
    merged = families.merge([collector(telemetry).collect()] * 2, [], 2)
    sample = parse(families.text(merged).decode(), "uid", 1.0)
    assert (sample.requests, sample.rejected, sample.rows) == (2 * (2 + 1 + 1), 2, 8)
    assert sample.busy_seconds == 0.5
    assert sample.latency_counts[-1] == 4


def test_triton_s_names_mean_what_triton_means():
    telemetry = busy(0.5, rows=4, answers=2)
    telemetry.answered(429, 0.001)
    telemetry.answered(500, 0.001)
    telemetry.answered(400, 0.001, GRPC)
    telemetry.cancelled = 5
    telemetry.queue.observe(0.25)
    found = read(aliases(telemetry, Backlog(), Identity("m", "sha256:1", "small")))
    labels = (("model", "m"), ("version", "1"))
    # The parser gives every counter the ending that Triton's have not.
    plain = {key[0].removesuffix("_total"): value for key, value in found.items() if key[1:] == labels}
    assert plain["nv_inference_request_success"] == 2
    assert (plain["nv_inference_count"], plain["nv_inference_exec_count"]) == (4, 1)
    assert plain["nv_inference_request_duration_us"] == 23_000
    assert plain["nv_inference_queue_duration_us"] == 250_000
    assert plain["nv_inference_compute_infer_duration_us"] == 1_000_000  # of both requests in the batch
    assert plain["nv_inference_pending_request_count"] == 2
    failures = {dict(key[1:])["reason"]: value for key, value in found.items() if len(key) == 4}
    assert failures == {"REJECTED": 1, "CANCELED": 5, "BACKEND": 1, "OTHER": 1}


@pytest.mark.parametrize(("option", "there"), [("", False), ("triton", True)])
def test_triton_s_names_are_there_when_asked_for(artifact, option, there):
    with replica(artifact, metrics_aliases=option) as running:
        text = httpx.get(f"{running.metrics_url}/metrics").text
    assert ('nv_inference_request_success{model="tiny",version="1"} 0' in text) is there


class Member:
    serving = True

    def __init__(self, asked_at=0.0, live=True):
        self.asked_at = asked_at
        self.status = Message("status", live=live, ready=live)


@pytest.mark.parametrize(
    ("members", "live", "ready"),
    [
        ([Member(), Member()], True, True),
        ([Member(), Member(live=False)], False, True),
        ([Member(), Member(asked_at=100 - SILENT_SECONDS + 1)], True, True),
        ([Member(), Member(asked_at=100 - SILENT_SECONDS)], False, True),
        ([], True, False),
    ],
)
def test_a_replica_lives_while_all_its_workers_do_and_is_ready_while_one_is(members, live, ready):
    fleet = Fleet(2, lambda: 100.0)
    fleet.members, fleet.serving = members, True
    assert (fleet.live, fleet.ready) == (live, ready)
    fleet.draining = True
    assert not fleet.ready
