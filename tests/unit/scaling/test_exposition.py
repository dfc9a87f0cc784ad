"""The parser of replicas' metrics: reads what the runtime answers, refuses everything else."""

import math

import pytest

from slipstream_operator.scaling.exposition import MAX_BYTES, MAX_SAMPLES, ExpositionError, parse

BUSY = "slipstream_session_busy_seconds_total 12.5\n"
DURATION = "slipstream_request_duration_seconds"

GOOD = (
    "# HELP slipstream_rows_total Rows answered.\n# TYPE slipstream_rows_total counter\nslipstream_rows_total 300.0\n"
    + BUSY
    + f"""\
{DURATION}_bucket{{code="200",le="0.01"}} 80
{DURATION}_bucket{{code="200",le="0.05"}} 95.0
{DURATION}_bucket{{code="200",le="+Inf"}} 100
{DURATION}_count{{code="200"}} 100
{DURATION}_bucket{{code="400",le="0.01"}} 7
{DURATION}_bucket{{code="400",le="0.05"}} 7
{DURATION}_bucket{{code="400",le="+Inf"}} 7
{DURATION}_count{{code="400"}} 7
{DURATION}_count{{code="429"}} 30
slipstream_rejected_requests_total{{reason="overload"}} 25
slipstream_rejected_requests_total{{reason="deadline"}} 5
slipstream_batch_rows_sum 290
slipstream_batch_rows_count 40
slipstream_process_cpu_seconds_total 20 1700000000000
slipstream_queued_rows 3
slipstream_cache_hits_total 10
slipstream_cache_misses_total 90
slipstream_info{{model="a \\"quoted\\" name",artifact="x",}} 1
python_other_metric NaN
"""
)


def test_reads_what_a_replica_answers():
    seen = parse(GOOD, "uid-1", 42.0)
    assert (seen.replica, seen.at) == ("uid-1", 42.0)
    assert seen.rejected == 30
    assert seen.requests == 100 + 7 + 30, "served with any code, and rejected; the timed 429 are not counted twice"
    assert (seen.rows, seen.computed_rows, seen.batches) == (300, 290, 40)
    assert (seen.busy_seconds, seen.cpu_seconds, seen.queued_rows) == (12.5, 20, 3)
    assert (seen.cache_hits, seen.cache_misses) == (10, 90)
    assert seen.latency_edges == (0.01, 0.05, math.inf)
    assert seen.latency_counts == (80, 95, 100), "successes only"
    assert seen.usable


def test_a_replica_without_a_first_request_has_no_latencies():
    seen = parse(BUSY, "uid-1", 1.0)
    assert (seen.requests, seen.latency_edges, seen.latency_counts) == (0, (), ())


def _bucket(edge: str, value: str, code: str = "200") -> str:
    return f'{DURATION}_bucket{{code="{code}",le="{edge}"}} {value}\n'


REFUSED = {
    "an empty answer": ("", "not a Slipstream replica"),
    "a web page": ("<html><body>404</body></html>", "line 1: not a sample"),
    "too many bytes": (BUSY + "#" + "x" * MAX_BYTES, "more than 262144 bytes"),
    "too many bytes, few characters": (BUSY + "#" + "\u20ac" * (MAX_BYTES // 2), "more than 262144 bytes"),
    "too many samples": (BUSY + "".join(f"m{i} 1\n" for i in range(MAX_SAMPLES)), "more than 2000 samples"),
    "NaN in a metric of ours": ("slipstream_rows_total NaN\n", "line 1: slipstream_rows_total is NaN"),
    "a negative counter": ("slipstream_rows_total -1\n", "line 1: slipstream_rows_total is -1"),
    "an infinite counter": ("slipstream_rows_total +Inf\n", "line 1: slipstream_rows_total is"),
    "a number beyond all bounds": ("slipstream_rows_total 1e999\n", "line 1: slipstream_rows_total is 1e999"),
    "a metric twice": (BUSY + BUSY, "line 2: slipstream_session_busy_seconds_total is given twice"),
    "a metric twice with labels in another order": ('m{a="1",b="2"} 1\nm{b="2",a="1"} 1\n', "line 2: m is given twice"),
    "a label twice": ('m{a="1",a="2"} 1\n', "a label twice"),
    "a line without a value": ("slipstream_rows_total\n", "line 1: not a sample"),
    "a value that is no number": ("slipstream_rows_total 1.2.3\n", "not a number"),
    "Python's own number syntax": ("slipstream_rows_total 1_000\n", "line 1: not a sample"),
    "a label that does not end": ('m{a="1} 1\n', "line 1: not a sample"),
    "a histogram that falls": (BUSY + _bucket("0.1", "5") + _bucket("+Inf", "4"), "not cumulative"),
    "a histogram without its last bucket": (BUSY + _bucket("0.1", "5"), "not cumulative"),
    "a bucket with a bad edge": (BUSY + _bucket("soon", "5"), "not a bucket's edge"),
    "a bucket with edge NaN": (BUSY + _bucket("nan", "5"), "not a bucket's edge"),
    "buckets that differ between codes": (
        BUSY + _bucket("0.1", "1") + _bucket("+Inf", "1") + _bucket("0.2", "1", "201") + _bucket("+Inf", "1", "201"),
        "buckets differ",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case):
    text, message = REFUSED[case]
    with pytest.raises(ExpositionError, match=message.replace("+", r"\+")):
        parse(text, "uid-1", 1.0)
