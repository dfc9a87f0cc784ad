"""Turn NetworkPolicy objects into one nftables table, as the API documents them (networking.k8s.io/v1); pure.

A pod that a policy selects gets a chain for the direction: what a rule of any of its policies allows returns to the
base chain, the rest is rejected; or dropped where it comes from a pod so new that its address is not known yet, whose
kernel then tries again a second later. Both ends of a connection must allow it. Answers to what was allowed pass, and
so does what the node itself sends, such as the kubelet's probes, as that is not forwarded.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labels import matches

Json = Mapping[str, Any]

TABLE = "slipstream_policies"
_ENDED = {"Succeeded", "Failed"}


@dataclass(frozen=True)
class Direction:
    """How one direction of traffic is written: the key of a policy's rules and of their peers, the packet's ends."""

    rules: str
    peers: str
    own: str
    other: str


INGRESS = Direction("ingress", "from", own="daddr", other="saddr")
EGRESS = Direction("egress", "to", own="saddr", other="daddr")


@dataclass(frozen=True)
class Pod:
    """What policies see of a pod; its named ports by protocol and name."""

    namespace: str
    labels: Mapping[str, str]
    address: str
    ports: Mapping[tuple[str, str], int]


@dataclass(frozen=True)
class World:
    """All that the rules depend on."""

    policies: Sequence[Json]
    pods: Sequence[Pod]
    namespaces: Mapping[str, Mapping[str, str]]


def world(policies: Iterable[Json], pods: Iterable[Json], namespaces: Iterable[Json]) -> World:
    """The part of the API server's objects that matters, in an order of its own so that equal worlds are equal."""
    return World(
        sorted(policies, key=lambda one: (one["metadata"]["namespace"], one["metadata"]["name"])),
        sorted((pod for one in pods if (pod := _pod(one))), key=lambda pod: pod.address),
        {one["metadata"]["name"]: one["metadata"].get("labels", {}) for one in namespaces},
    )


def table(seen: World, network: str) -> str:
    """The table that enforces the policies on the pods of a network, as a transaction that replaces the one before."""
    chains, jumps = [], {}
    known = ", ".join(pod.address for pod in seen.pods)
    for direction in (EGRESS, INGRESS):
        targets = []
        for pod in seen.pods:
            allowed = _allowed(pod, direction, seen)
            if allowed is not None:
                name = f"{direction.rules}_{pod.address.replace('.', '_')}"
                unknown = f"ip {direction.other} {network} ip {direction.other} != {{ {known} }} drop"
                chains.append(_chain(name, [*allowed, *([unknown] if direction is INGRESS else []), "reject"]))
                targets.append(f"{pod.address} : jump {name}")
        jumps[direction] = [f"ip {direction.own} vmap {{ {', '.join(targets)} }}"] if targets else []
    chains.append(_base("forward", [*jumps[EGRESS], *jumps[INGRESS]]))
    chains.append(_base("input", jumps[EGRESS]))  # to the node itself, and with it to the API server
    return f"add table ip {TABLE}\ndelete table ip {TABLE}\ntable ip {TABLE} {{\n{''.join(chains)}}}\n"


def _base(hook: str, jumps: Sequence[str]) -> str:
    first = [f"type filter hook {hook} priority filter; policy accept;", "ct state established,related accept"]
    return _chain(hook, [*first, *jumps])


def _chain(name: str, lines: Iterable[str]) -> str:
    body = "".join(f"    {line}\n" for line in lines)
    return f"  chain {name} {{\n{body}  }}\n"


def _pod(manifest: Json) -> Pod | None:
    """None for a pod without an address of its own, or without one any more."""
    status, spec = manifest.get("status", {}), manifest["spec"]
    address = status.get("podIP", "")
    if not address or spec.get("hostNetwork") or status.get("phase") in _ENDED:
        return None
    named = [port for container in spec["containers"] for port in container.get("ports") or [] if "name" in port]
    ports = {(port.get("protocol", "TCP"), port["name"]): port["containerPort"] for port in named}
    metadata = manifest["metadata"]
    return Pod(metadata["namespace"], metadata.get("labels", {}), address, ports)


def _allowed(pod: Pod, direction: Direction, seen: World) -> list[str] | None:
    """The lines of what may pass; None if no policy selects the pod for this direction."""
    selecting = [one for one in seen.policies if _selects(one, pod, direction)]
    if not selecting:
        return None
    lines = [f"ip {direction.other} {pod.address} return"]  # a pod always reaches itself
    for policy in selecting:
        for rule in policy["spec"].get(direction.rules) or []:
            lines += _lines(rule, pod, direction, policy["metadata"]["namespace"], seen)
    return lines


def _selects(policy: Json, pod: Pod, direction: Direction) -> bool:
    spec = policy["spec"]
    kinds = {kind.lower() for kind in spec["policyTypes"]}  # the API server fills in what was left out
    in_place = policy["metadata"]["namespace"] == pod.namespace
    return in_place and direction.rules in kinds and matches(spec["podSelector"], pod.labels)


def _lines(rule: Json, pod: Pod, direction: Direction, namespace: str, seen: World) -> Iterator[str]:
    """One line for each way in which the rule lets packets pass."""
    peers, ports = rule.get(direction.peers) or [], rule.get("ports") or [{}]
    chosen = [one for peer in peers if "ipBlock" not in peer for one in _chosen(peer, namespace, seen)]
    for port in ports:
        if isinstance(port.get("port"), str) and direction is EGRESS:
            yield from _to_named_port(port, seen.pods if not peers else chosen)
            continue
        protocol = _port(port, pod)
        if protocol is None:
            continue
        addresses = sorted({one.address for one in chosen})
        ends = [f"ip {direction.other} {{ {', '.join(addresses)} }} "] if addresses else []
        # Pods have addresses of IPv4 alone, so that blocks of IPv6 hold none of them.
        blocks = [peer["ipBlock"] for peer in peers if "ipBlock" in peer]
        ends += [_block(block, direction) for block in blocks if ":" not in block["cidr"]]
        yield from (f"{end}{protocol}return" for end in (ends if peers else [""]))


def _chosen(peer: Json, namespace: str, seen: World) -> Iterator[Pod]:
    for one in seen.pods:
        if "namespaceSelector" in peer:
            in_place = matches(peer["namespaceSelector"], seen.namespaces.get(one.namespace, {}))
        else:
            in_place = one.namespace == namespace
        if in_place and matches(peer.get("podSelector") or {}, one.labels):
            yield one


def _block(block: Json, direction: Direction) -> str:
    excluded = ", ".join(block.get("except") or [])
    besides = f"ip {direction.other} != {{ {excluded} }} " if excluded else ""
    return f"ip {direction.other} {block['cidr']} {besides}"


def _port(port: Json, pod: Pod) -> str | None:
    """The match of a port of this pod, or of a number; None if the pod has no port of that name."""
    if not port:
        return ""
    protocol = port.get("protocol", "TCP")
    number = port.get("port")
    if number is None:
        return f"meta l4proto {protocol.lower()} "
    if isinstance(number, str):
        number = pod.ports.get((protocol, number))
    if number is None:
        return None
    last = f"-{port['endPort']}" if "endPort" in port else ""
    return f"{protocol.lower()} dport {number}{last} "


def _to_named_port(port: Json, peers: Iterable[Pod]) -> Iterator[str]:
    """A port that is named on the other end has the number that the pod there gives it."""
    for one in peers:
        match = _port(port, one)
        if match is not None:
            yield f"ip daddr {one.address} {match}return"
