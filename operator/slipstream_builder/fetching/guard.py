"""Decides which network addresses a fetch may connect to, after names are resolved and on every hop.

Refused: link-local and cloud metadata addresses, which hand out a machine's own credentials to whoever asks from it,
and addresses that name no one host (unspecified, multicast, reserved). Loopback and private ranges stay allowed: an
object store in the cluster, a mirror in the company and a server on the laptop all live there, and a user who may
create a build may already reach them.
"""

import contextlib
import ipaddress
import socket
from collections.abc import Callable

Lookup = Callable[[str, int], list[str]]
"""Resolves a host and port to numeric addresses; raises OSError where there are none."""

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA = frozenset(
    ipaddress.ip_address(address)
    for address in (
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure's wire server
        "192.0.0.192",  # Oracle Cloud
        "fd00:ec2::254",  # AWS
        "fd20:ce::254",  # Google Cloud
    )
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")


class RefusedAddressError(Exception):
    """A host is, or resolves to, an address that no file may come from; the message says so in words."""


def system_lookup(host: str, port: int) -> list[str]:
    """Return the addresses that the system's resolver gives for `host`, each once."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError("a name of no valid form") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def checked(host: str, port: int, lookup: Lookup) -> list[str]:
    """Return the addresses of `host`, all of them fit to connect to; connect to these and do not resolve again.

    Raises:
        RefusedAddressError: one of them is not.
        OSError: there are none.
    """
    addresses = lookup(host, port)
    for address in addresses:
        refuse(host, address)
    return addresses


def refuse_known(host: str, port: int, lookup: Lookup) -> None:
    """Do as `checked` does where a proxy will connect; a name that only the proxy can resolve is left to it.

    Raises:
        RefusedAddressError: one of the addresses that are known here is not fit to connect to.
    """
    with contextlib.suppress(OSError):
        checked(host, port, lookup)


def refuse(host: str, address: str) -> None:
    """Go on, unless the numeric `address` of `host` may not be connected to.

    Raises:
        RefusedAddressError: it may not.
    """
    words = _fault(_embedded(ipaddress.ip_address(address.partition("%")[0])))
    if words is not None:
        place = f"{host} is" if host == address else f"{host} resolves to {address},"
        raise RefusedAddressError(f"{place} {words}, from which nothing is fetched; give the file's own host")


def refuse_literal(host: str) -> None:
    """Do as `refuse` does where `host` is a numeric address, which no resolver would see.

    Raises:
        RefusedAddressError: it may not be connected to.
    """
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return
    refuse(host, host)


def _fault(address: IPAddress) -> str | None:
    if address in _METADATA:
        return "a cloud's metadata address"
    if address.is_link_local:
        return "a link-local address"
    if address.is_unspecified or address in _THIS_NETWORK:
        return "an unspecified address"
    if address.is_multicast or (address.version == 4 and address.is_reserved):
        return "a multicast or reserved address"
    return None


def _embedded(address: IPAddress) -> IPAddress:
    """Return the IPv4 address that an IPv6 one stands for (mapped, 6to4, Teredo, NAT64), or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    return inner or address
