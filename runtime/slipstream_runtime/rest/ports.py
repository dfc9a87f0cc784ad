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

    def again(self) -> "Ports":
        """Return another process's own sockets; the kernel shares out new connections among all that listen.

        A socket that several replicas share stays the same one.
        """
        grpc = None if self.grpc is None else _again(self.grpc)
        return Ports(self.infer.dup() if self.shared else _again(self.infer), grpc, None, self.shared)


def open_ports(options: ServingOptions, *, several: bool = False) -> Ports:
    """Bind the ports of `options`; those for inference such that `several` processes can.

    Raises:
        StartError: one of them is in use, or not of this machine.
    """
    shared = options.socket_fd >= 0
    infer = inherit(options.socket_fd) if shared else _bound("port", options.host, options.port, several=several)
    grpc = _bound("grpc-port", options.host, options.grpc_port, several=several) if options.grpc_port >= 0 else None
    return Ports(infer, grpc, bind("metrics-port", options.host, options.metrics_port), shared)


def _bound(option: str, host: str, port: int, *, several: bool) -> socket.socket:
    sock = bind(option, host, port)
    if not several:
        return sock
    with sock:  # bound alone first: sockets that may share a port would not notice another replica on it
        port = sock.getsockname()[1]
    return bind(option, host, port, reuse_port=True)


def _again(sock: socket.socket) -> socket.socket:
    host, port = sock.getsockname()[:2]
    return bind("port", host, port, reuse_port=True)
