"""How many processes a replica should have, known before anything heavy is loaded."""

from pathlib import Path

from slipstream_contract import codec
from slipstream_contract.errors import ContractError
from slipstream_contract.manifest import MANIFEST_FILE, LatencyCurve, Manifest
from slipstream_contract.processes import Plan, plan_processes
from slipstream_contract.serving import ServingOptions
from slipstream_runtime.model.quota import processors


def choose(options: ServingOptions) -> Plan:
    """Return the processes and the threads of each, by the quota and what the builder measured of the variant."""
    return plan_processes(options.processes, options.threads, processors(), _cost(options), options.provider)


def _cost(options: ServingOptions) -> LatencyCurve | None:
    """Return what batches cost as the manifest has it, or None where it cannot be read.

    What is wrong with the manifest is then found, and said, by the process that loads it.
    """
    try:
        path = Path(options.artifact) / MANIFEST_FILE
        return codec.decode_json(Manifest, path.read_bytes(), str(path)).variant(options.variant).latency
    except (OSError, ContractError, KeyError):
        return None
