"""The sockets of one replica: bound here at the start, or inherited from the process that bound them."""

import socket
from dataclasses import dataclass

from slipstream_contract.serving import ServingOptions
from slipstream_runtime.rest.sockets import bind, inherit


@dataclass(frozen=True)
class Ports:
    """Where a replica is reached; `shared` tells that other replicas accept from the socket for inference too.

    A worker has no socket for metrics: its supervisor has.
    """

    infer: socket.socket
    grpc: socket.socket | None
    metrics: socket.socket | None
    shared: bool = False

    def close_serving(self) -> None:
        """Close this process's copies of the sockets for inference."""
        self.infer.close()
        if self.grpc is not None:
            self.grpc.close()


def open_ports(options: ServingOptions) -> Ports:
    """Bind the ports of `options`.

    Raises:
        StartError: one of them is in use, or not of this machine.
    """
    shared = options.socket_fd >= 0
    infer = inherit(options.socket_fd) if shared else bind("port", options.host, options.port)
    grpc = bind("grpc-port", options.host, options.grpc_port) if options.grpc_port >= 0 else None
    return Ports(infer, grpc, bind("metrics-port", options.host, options.metrics_port), shared)
