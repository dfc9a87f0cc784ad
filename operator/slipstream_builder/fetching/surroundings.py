"""What a fetch finds around it; tests give their own."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from slipstream_builder.fetching import guard
from slipstream_contract.names import CLAIMS_PATH, SECRETS_PATH


@dataclass(frozen=True)
class Surroundings:
    """Where mounted claims and secrets are, the environment's variables, the resolver of names, and time."""

    claims: str = CLAIMS_PATH
    secrets: str = SECRETS_PATH
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    lookup: guard.Lookup = guard.system_lookup
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
