"""How quickly scaling looks and acts, by the name of a profile that an administrator chooses."""

from slipstream_operator.scaling.tuning import FAST, Tuning

PROFILES = {
    "standard": Tuning(),
    "fast": FAST,
}
"""`standard` for pods that take tens of seconds to start; `fast` for those that take two, with cached images."""

TICK_SECONDS = {"standard": 2.0, "fast": 1.0}
"""How often a serving AgentDeployment is scraped and its scaling decided."""
