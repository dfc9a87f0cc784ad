"""Listening sockets: bound here, or inherited."""

import resource
import socket
from contextlib import suppress

from slipstream_runtime.errors import StartError


def bind(option: str, host: str, port: int, *, reuse_port: bool = False) -> socket.socket:
    """Return a socket bound to `host` and `port`, not listening yet; `::` takes IPv4 too.

    `reuse_port` lets several processes bind the same port, among which the kernel shares out new connections.

    Raises:
        StartError: the address is in use or not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if host == "::":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((host, port))
        sock.setblocking(False)
    except (OSError, OverflowError) as error:
        sock.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise StartError(f"--{option}: cannot listen on {host}:{port} ({reason}); choose another") from error
    return sock


def inherit(fd: int) -> socket.socket:
    """Return the listening socket that the parent process passed as descriptor `fd`.

    Raises:
        StartError: the descriptor is no listening socket.
    """
    try:
        sock = socket.socket(fileno=fd)
        listening = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise StartError(f"--socket-fd: descriptor {fd} is not an open socket ({error.strerror})") from error
    if not listening:
        raise StartError(
            f"--socket-fd: the socket of descriptor {fd} is not listening; call listen() before passing it"
        )
    sock.setblocking(False)
    return sock


def allow_descriptors(count: int) -> None:
    """Raise this process's own limit on open files to `count`, or as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
