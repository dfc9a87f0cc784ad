"""Ten times more than it can do, for a minute: what is still answered, how late, and how soon all is well again."""

import json
import subprocess
import sys
from pathlib import Path

from bench.serving import contenders, models, turns, wrk
from bench.serving.contenders import OURS, Contender
from bench.serving.open_loop import Second
from bench.serving.plan import Plan, Record, say
from bench.serving.processes import Server
from bench.shared.folders import BenchError
from slipstream_contract import codec

CONNECTIONS = 32
FACTOR = 10
CALM_SHARE, CALM_SECONDS, RECOVERY_SECONDS = 0.5, 5, 10
OBJECTIVE_MILLISECONDS = 50
DEADLINE_MILLISECONDS = 100
"""What a caller who states no deadline is given: twice the objective."""
SETTINGS = {"threads": 1, "processes": 1, "objective_milliseconds": OBJECTIVE_MILLISECONDS}
PEAK, OFFERED, SENT = "peak, rows/s", "offered, requests/s", "sent, requests/s"
GOODPUT, ACCEPTED, REFUSED = "goodput, % of peak", "accepted, p99 ms", "refusals, p99 ms"
RECOVERY, FAILED = "seconds until back to normal", "neither answered nor refused, %"
_TREE = Path(__file__).parents[3]


def measure(plan: Plan, record: Record) -> None:
    """Find the peak by a closed loop, then offer ten times as much, then half of it."""
    model = models.heavy(plan.scratch)
    contender = contenders.ours(model.name, SETTINGS, "binary")
    requests = turns.request_files(model, contender, plan.scratch / OURS)["binary"]

    def load(contender: Contender, server: Server) -> None:
        wrk.offer(server.port, requests, CONNECTIONS, turns.WARM_SECONDS)
        # What it refuses here, with the deadline so close, does not count, but is no failure.
        peaks = [wrk.offer(server.port, requests, CONNECTIONS, plan.seconds).rate for _ in range(3)]
        peak = sorted(peaks)[1]
        say(f"{model.name}: peak {peak:.0f} rows/s; offering {FACTOR * peak:.0f} a second")
        judge(_open_loop(plan, server, requests, peak), peak, plan.overload_seconds, record)

    turns.rounds((contender,), model, {OURS: SETTINGS}, load, plan.once(), record)


def judge(seconds: list[Second], peak: float, overload_seconds: float, record: Record) -> None:
    """Record the figures of the overload; its first second, in which the queue fills, counts too. Pure."""
    end = CALM_SECONDS + int(overload_seconds)
    calm, hot, after = seconds[1:CALM_SECONDS], seconds[CALM_SECONDS:end], seconds[end:]
    offered, sent = sum(s.offered for s in hot), sum(s.sent for s in hot)
    if not hot or not sent:
        raise BenchError("the open loop sent nothing")
    good = sum(s.answered - s.late for s in hot)
    record.add(OURS, PEAK, peak)
    record.add(OURS, OFFERED, offered / len(hot))
    record.add(OURS, SENT, sent / len(hot))
    record.add(OURS, GOODPUT, good / len(hot) / peak * 100)
    record.add(OURS, ACCEPTED, _merged_p99([s.accepted for s in hot]))
    record.add(OURS, REFUSED, _merged_p99([s.refusals for s in hot]))
    record.add(OURS, FAILED, sum(s.failed for s in hot) / sent * 100)
    record.add(OURS, RECOVERY, recovery(calm, after))


def recovery(calm: list[Second], after: list[Second]) -> float:
    """Return after how many seconds nothing is refused or failed any more, and answers come within the deadline."""
    usual = max([DEADLINE_MILLISECONDS / 2, *(_merged_p99([second.accepted]) for second in calm)])
    troubled = [
        number
        for number, second in enumerate(after, 1)
        if second.refused or second.failed or _merged_p99([second.accepted]) > usual
    ]
    return float(max(troubled, default=0))


def _merged_p99(histograms: list[dict[str, int]]) -> float:
    """Return the 99th percentile, in milliseconds, of counts by upper edge in milliseconds."""
    merged: dict[float, int] = {}
    for histogram in histograms:
        for edge, count in histogram.items():  # JSON has no numbers for keys
            merged[float(edge)] = merged.get(float(edge), 0) + count
    wanted, running = 0.99 * sum(merged.values()), 0
    for upper in sorted(merged):
        running += merged[upper]
        if running >= wanted:
            return upper
    return 0.0


def _open_loop(plan: Plan, server: Server, requests: Path, peak: float) -> list[Second]:
    phases = ((CALM_SECONDS, CALM_SHARE), (plan.overload_seconds, FACTOR), (RECOVERY_SECONDS, CALM_SHARE))
    schedule = ",".join(f"{seconds:g}:{share * peak:.1f}" for seconds, share in phases)
    command = [sys.executable, "-m", "bench.serving.open_loop", str(server.port), str(requests), schedule]
    command += [str(DEADLINE_MILLISECONDS)]
    limit = sum(seconds for seconds, _ in phases) + 30
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=_TREE, timeout=limit)
    except subprocess.TimeoutExpired as error:
        raise BenchError("the open loop did not end in time") from error
    if done.returncode:
        raise BenchError(f"the open loop failed: {(done.stderr.strip().splitlines() or ['?'])[-1][:160]}")
    return [codec.decode(Second, second) for second in json.loads(done.stdout)]
