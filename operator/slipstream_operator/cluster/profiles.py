"""How quickly scaling looks and acts, by the name of a profile that an administrator chooses."""

from slipstream_operator.scaling.tuning import Tuning

PROFILES = {
    "standard": Tuning(),
    "fast": Tuning(
        window_seconds=60,
        interval_seconds=2,
        demand_seconds=8,
        short_seconds=3,
        panic_seconds=8,
        latency_seconds=4,
        violation_seconds=2,
        stale_seconds=5,
        minimum_seconds=4,
        cold_seconds=2,
        drain_seconds=4,
        learning_seconds=20,
    ),
}
"""`standard` for pods that take tens of seconds to start; `fast` for those that take two, with cached images."""

TICK_SECONDS = {"standard": 2.0, "fast": 1.0}
"""How often a serving AgentDeployment is scraped and its scaling decided."""
