"""What the operator tells a replica: one set of options, as command-line arguments."""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class ServingOptions:
    """How a replica serves.

    Attributes:
        artifact: the artifact's folder.
        variant: the variant to serve, one of the manifest's.
        model: the model's name in URLs.
        variant_file: a file that names the variant to serve from now on, looked at every second; empty for none.
        host: the address to listen on.
        port: the port for inference over HTTP; 0 takes a free one.
        grpc_port: the port for inference over gRPC; 0 takes a free one, -1 serves none.
        metrics_port: the port for `/metrics` and the probes `/livez` and `/readyz`.
        socket_fd: an inherited listening socket for inference, used in place of host and port; -1 for none.
        objective_percentile: the percentile to hold, 0 to 100.
        objective_milliseconds: its bound.
        max_batch: the most rows of one batch; 0 lets the runtime choose.
        max_delay_milliseconds: the longest wait for a fuller batch; 0 never waits.
        cache_bytes: the cache's size; 0 switches it off.
        cache_ttl_seconds: how long an entry lives.
        cache_redis_file: a file that holds the redis:// address of a cache shared between replicas; empty for none.
        authentication: who may call: keys (bearer tokens of the keys file), token-review (Kubernetes tokens) or none.
        keys_file: a file of accepted bearer tokens, one NAME:SHA256_HEX a line.
        provider: where the session runs: cpu, cuda or tensorrt; never replaced by another.
        threads: intra-op threads of one session; 0 follows the processor quota.
        processes: processes that share the port; 0 follows the processor quota and the model's cost.
        max_connections: connections one process keeps open at most.
        metrics_aliases: triton adds Triton's nv_inference_* names to the metrics; empty adds none.
        log_format: text or json.
        drain_seconds: how long a stopping replica may take to finish what it accepted.
    """

    artifact: str
    variant: str
    model: str
    variant_file: str = ""
    host: str = "127.0.0.1"
    port: int = 8000
    grpc_port: int = -1
    metrics_port: int = 8002
    socket_fd: int = -1
    objective_percentile: str = "99"
    objective_milliseconds: int = 100
    max_batch: int = 0
    max_delay_milliseconds: int = 0
    cache_bytes: int = 0
    cache_ttl_seconds: int = 300
    cache_redis_file: str = ""
    authentication: str = "keys"
    keys_file: str = ""
    provider: str = "cpu"
    threads: int = 1
    processes: int = 0
    max_connections: int = 4096
    metrics_aliases: str = ""
    log_format: str = "text"
    drain_seconds: int = 20

    def to_arguments(self) -> list[str]:
        """Return the options as command-line arguments, in a fixed order."""
        names = [field.name for field in fields(self)]
        return [f"--{name.replace('_', '-')}={getattr(self, name)}" for name in names]
