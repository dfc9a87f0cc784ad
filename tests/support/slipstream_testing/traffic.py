"""A fluid model of replicas under load, closed over `decide`: what the autoscaler orders, starts and takes load later.

Every second the arrivals are split over the ready replicas; each answers what its batches allow, queues the rest, and
rejects what would wait too long. Two latency values stand for a whole distribution, which is enough to hold or break
an objective.
"""

import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from slipstream_contract.metrics import latency_buckets
from slipstream_operator.scaling import Capacity, Decision, Policy, Replica, ReplicaSample, State, Window, decide

CAPACITY = Capacity(alpha_seconds=0.004, beta_seconds=0.001, max_batch=32, percentile=99, objective_seconds=0.05)
"""Full batches take 36 ms, so about 890 requests/s at most and some 680 within 50 ms at the 99th percentile."""

EDGES = (*latency_buckets(0.05), math.inf)


def sample(replica: str, at: float, rate: float = 100.0, latency: float = 0.01, **changes: float) -> ReplicaSample:
    """Return the sample of a replica that has answered `rate` requests/s at `latency` seconds since the time 0."""
    done = rate * at
    counts = tuple(done if edge >= latency else 0.0 for edge in EDGES)
    plain = ReplicaSample(
        replica, at, requests=done, rows=done, computed_rows=done, batches=done / 4, busy_seconds=done / 4 * 0.008
    )
    return replace(plain, latency_edges=EDGES, latency_counts=counts, **changes)


def steady(replicas: Iterable[str], until: float, **numbers: float) -> Window:
    """Return a window of one sample per second of each replica, up to the time `until`."""
    samples = [
        sample(uid, float(at), **numbers) for uid in replicas for at in range(max(0, int(until) - 60), int(until) + 1)
    ]
    return Window().add(samples)


@dataclass
class Server:
    """One replica of the fluid model."""

    uid: str
    started_at: float
    queue: float = 0.0
    seen: dict[str, float] = field(default_factory=dict)
    counts: list[float] = field(default_factory=lambda: [0.0] * len(EDGES))

    def serve(self, arrivals: float, capacity: Capacity, patience: float) -> float:
        """Take a second's arrivals and return the latency quantile that this makes, in seconds."""
        full = capacity.max_batch / capacity.seconds(capacity.max_batch)
        answered = min(self.queue + arrivals, full)
        queue = self.queue + arrivals - answered
        rejected = max(0.0, queue - patience * full)
        self.queue = queue - rejected
        batch = _batch(capacity, answered)
        busy = answered / batch * capacity.seconds(math.ceil(batch))
        late = 2.0 * capacity.seconds(math.ceil(batch)) + self.queue / full
        for name, value in {
            "requests": answered + rejected,
            "rejected": rejected,
            "rows": answered,
            "computed_rows": answered,
            "batches": answered / batch,
            "busy_seconds": min(1.0, busy),
        }.items():
            self.seen[name] = self.seen.get(name, 0.0) + value
        for index, edge in enumerate(EDGES):
            self.counts[index] += answered * (0.97 * (edge >= late / 2) + 0.03 * (edge >= late))
        return late if answered else 0.0

    def scrape(self, now: float) -> ReplicaSample:
        """Return the counters as they stand."""
        plain = ReplicaSample(self.uid, now, queued_rows=self.queue, **self.seen)
        return replace(plain, latency_edges=EDGES, latency_counts=tuple(self.counts))


def _batch(capacity: Capacity, rate: float) -> float:
    """Return the batch size in balance: what arrives while a batch of that size is computed."""
    room = 1 - rate * capacity.beta_seconds
    return min(capacity.max_batch, max(1.0, rate * capacity.alpha_seconds / room if room > 0 else math.inf))


@dataclass(frozen=True)
class Moment:
    """One second of a run."""

    at: float
    load: float
    ordered: int
    ready: int
    latency: float
    rejected: float
    decision: Decision


@dataclass
class World:
    """Replicas, load and the autoscaler. `real` is what the replicas are, which the autoscaler's model may miss."""

    policy: Policy
    load: Callable[[float], float]
    model: Capacity = CAPACITY
    real: Capacity = CAPACITY
    seed: int | None = None
    silent: Callable[[float], bool] = lambda _: False
    patience: float = 1.0

    def run(self, seconds: int, replicas: int | None = None) -> list[Moment]:
        """Return the moments of a run that begins with `replicas` (by default the minimum) ready and warm."""
        source = None if self.seed is None else random.Random(self.seed)
        ordered = replicas or self.policy.min_replicas
        servers = [Server(f"r{index}", -1000.0) for index in range(ordered)]
        made, window, state, moments = ordered, Window(self.policy.tuning.window_seconds), State(), []
        for now in map(float, range(seconds)):
            ready = [server for server in servers if now - server.started_at >= self.policy.start_seconds]
            load = self.load(now) if source is None else _poisson(source, self.load(now))
            before = sum(server.seen.get("rejected", 0.0) for server in ready)
            latency = max(server.serve(load / len(ready), self.real, self.patience) for server in ready)
            rejected = sum(server.seen["rejected"] for server in ready) - before
            if not self.silent(now):
                window = window.add(server.scrape(now) for server in ready).trim(now)
            known = tuple(Replica(server.uid, server in ready, server.started_at) for server in servers)
            decision, state = decide(now, window, self.model, self.policy, known, ordered, state)
            moments.append(Moment(now, load, ordered, len(ready), latency, rejected, decision))
            ordered = decision.replicas
            while len(servers) < ordered:
                servers.append(Server(f"r{made}", now))
                made += 1
            servers = servers[:ordered]
        return moments


def direction_changes(moments: list[Moment]) -> list[float]:
    """Return the times at which the ordered count turned from growing to shrinking or back."""
    turns, last = [], 0
    for moment in moments:
        step = moment.decision.replicas - moment.ordered
        if step and last and (step > 0) != (last > 0):
            turns.append(moment.at)
        last = step or last
    return turns


def _poisson(source: random.Random, mean: float) -> float:
    """Return a Poisson number; normal where that is as good."""
    if mean > 50:
        return max(0.0, round(source.gauss(mean, math.sqrt(mean))))
    limit, count, product = math.exp(-mean), 0, source.random()
    while product > limit:
        count, product = count + 1, product * source.random()
    return float(count)
