"""The operator's settings: flags, with environment variables behind them for a chart to set."""

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass

from slipstream_operator.cluster.profiles import PROFILES, TICK_SECONDS
from slipstream_operator.scaling.tuning import Tuning

METRICS = ("Authenticated", "Open", "Off")
"""Who gets `/metrics`: bearers of a token that RBAC permits, everyone, nobody."""


@dataclass(frozen=True)
class OperatorSettings:
    """How one operator process works.

    Attributes:
        namespaces: the namespaces to watch; empty for all.
        builder_image: the image of build Jobs.
        runtime_image: the image of replicas.
        builder_cpu: processors a build asks for.
        builder_memory: memory a build may use.
        scaling_profile: the name of the scaling's time constants.
        liveness_port: the port of `/healthz` and `/metrics`; 0 for none.
        metrics: who gets `/metrics`, one of METRICS.
        tls_folder: the folder of `tls.crt` and `tls.key` for that port; empty for plain HTTP.
        monitoring_namespaces: the namespaces whose pods may scrape replicas, beside the operator's own.
        lease_namespace: the operator's own namespace: holds its Lease, and replicas let it scrape them.
        lease_name: the Lease that one of several operators holds.
        identity: this process in the Lease.
    """

    namespaces: tuple[str, ...] = ()
    builder_image: str = "slipstream-builder:latest"
    runtime_image: str = "slipstream-runtime:latest"
    builder_cpu: str = "2"
    builder_memory: str = "4Gi"
    scaling_profile: str = "standard"
    liveness_port: int = 8080
    metrics: str = "Authenticated"
    tls_folder: str = ""
    monitoring_namespaces: tuple[str, ...] = ()
    lease_namespace: str = "slipstream-system"
    lease_name: str = "slipstream-operator"
    identity: str = "slipstream-operator"

    @property
    def tuning(self) -> Tuning:
        """The scaling's time constants."""
        return PROFILES[self.scaling_profile]

    @property
    def tick_seconds(self) -> float:
        """How often a serving AgentDeployment is looked at."""
        return TICK_SECONDS[self.scaling_profile]


def add_arguments(parser: argparse.ArgumentParser, environment: Mapping[str, str] = os.environ) -> None:
    """Add the operator's flags; what a flag does not say, its environment variable may."""
    default = OperatorSettings()

    def flag(name: str, fallback: str, text: str, **more: object) -> None:
        variable = f"SLIPSTREAM_{name.upper().replace('-', '_')}"
        value = environment.get(variable, fallback)
        parser.add_argument(f"--{name}", default=value, help=f"{text} (${variable}; {value})", **more)  # type: ignore[arg-type]

    watched = environment.get("SLIPSTREAM_NAMESPACES", "").split(",")
    parser.set_defaults(namespaces_from_environment=[name for name in watched if name])
    parser.add_argument(
        "--namespace",
        action="append",
        default=[],
        help="watch this namespace; may be repeated; none means all ($SLIPSTREAM_NAMESPACES, with commas)",
    )
    parser.add_argument(
        "--monitoring-namespace",
        action="append",
        default=[],
        help="let the pods of this namespace scrape replicas; may be repeated",
    )
    flag("image-builder", default.builder_image, "the image of build Jobs")
    flag("image-runtime", default.runtime_image, "the image of replicas")
    flag("builder-cpu", default.builder_cpu, "processors a build asks for")
    flag("builder-memory", default.builder_memory, "memory a build may use")
    flag("scaling-profile", default.scaling_profile, "how quickly scaling looks and acts", choices=sorted(PROFILES))
    flag("liveness-port", str(default.liveness_port), "the port of /healthz and /metrics, 0 for none", type=int)
    flag("tls-folder", default.tls_folder, "the folder of tls.crt and tls.key for that port")
    flag("metrics", default.metrics, "who gets /metrics; Authenticated asks the API server", choices=METRICS)
    flag("lease-namespace", default.lease_namespace, "the operator's own namespace, where its Lease is")
    flag("lease-name", default.lease_name, "the Lease that one of several operators holds")
    flag("identity", f"{os.uname().nodename}-{os.getpid()}", "this process's name in the Lease")


def from_arguments(options: argparse.Namespace) -> OperatorSettings:
    """Return the settings that parsed arguments name."""
    return OperatorSettings(
        namespaces=tuple(sorted(set(options.namespace or options.namespaces_from_environment))),
        builder_image=options.image_builder,
        runtime_image=options.image_runtime,
        builder_cpu=options.builder_cpu,
        builder_memory=options.builder_memory,
        scaling_profile=options.scaling_profile,
        liveness_port=options.liveness_port,
        metrics=options.metrics,
        tls_folder=options.tls_folder,
        monitoring_namespaces=tuple(sorted(set(options.monitoring_namespace))),
        lease_namespace=options.lease_namespace,
        lease_name=options.lease_name,
        identity=options.identity,
    )
