"""How a replica in a cluster uses the processors and the memory that it asks for."""

from slipstream_contract.processes import Plan, fitting_processes, plan_processes
from slipstream_contract.summary import BuildSummary, VariantSummary
from slipstream_operator.api.quantities import parse_bytes
from slipstream_operator.api.spec import Serving


def variant_of(summary: BuildSummary, name: str = "") -> VariantSummary:
    """Return the variant of that name, or the chosen one where there is none of it."""
    named = {variant.name: variant for variant in summary.variants}
    return named.get(name) or named[summary.chosen or ""]


def replica_plan(serving: Serving, summary: BuildSummary) -> Plan:
    """Return the processes of one replica and the threads of each.

    They follow what the replica asks for, not what its node has: a pod's processor time is not limited, so that its
    own quota would name every processor of the node. Memory bounds them, because each process has its own session.
    """
    chosen = variant_of(summary)
    provider = serving.accelerator.provider.lower() if serving.accelerator else "cpu"
    wished = plan_processes(0, 1, serving.threads, chosen.latency, provider).processes
    fitting = fitting_processes(parse_bytes(serving.memory), chosen.bytes, serving.cache_bytes)
    processes = min(wished, fitting)
    return Plan(processes, max(1, serving.threads // processes))
