"""Make the cluster's own certificate authority, its certificates and the kubeconfig files that hold them."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFE = timedelta(days=365)
_CLOCK_SKEW = timedelta(hours=1)


@dataclass(frozen=True)
class Identity:
    """A key and its certificate, as PEM."""

    key: bytes
    certificate: bytes

    def write(self, folder: Path, name: str) -> None:
        """Write `name.key`, readable by its owner only, and `name.crt`."""
        write_secret(folder / f"{name}.key", self.key)
        (folder / f"{name}.crt").write_bytes(self.certificate)


class Authority:
    """A certificate authority for one cluster; `now` is the time its certificates begin at."""

    def __init__(self, now: datetime) -> None:
        """Make a new key, trusted by nobody but the cluster."""
        self._now = now
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("slipstream-cluster")
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        certificate = self._begin(self._name, self._key).add_extension(constraints, critical=True)
        self.identity = self._sign(certificate, self._key)

    def issue(self, user: str, groups: Sequence[str] = (), hosts: Sequence[str] = ()) -> Identity:
        """A certificate that stands for the user with these groups, or serves under these host names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if hosts else [])]
        certificate = self._begin(_name(user, groups), key)
        certificate = certificate.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if hosts:
            names = x509.SubjectAlternativeName([_alternative(host) for host in hosts])
            certificate = certificate.add_extension(names, critical=False)
        return self._sign(certificate, key)

    def _begin(self, name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder(issuer_name=self._name, subject_name=name, public_key=key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - _CLOCK_SKEW)
            .not_valid_after(self._now + _LIFE)
        )

    def _sign(self, certificate: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> Identity:
        signed = certificate.sign(self._key, hashes.SHA256())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Identity(pem, signed.public_bytes(serialization.Encoding.PEM))


def new_authority() -> Authority:
    """An authority whose certificates begin now."""
    return Authority(datetime.now(UTC))


def write_kubeconfig(file: Path, url: str, authority: Authority, user: Identity) -> None:
    """Write a kubeconfig that stands alone; kubeconfig files are YAML, and JSON is YAML."""
    name = "slipstream"
    named = {
        "clusters": {"cluster": {"server": url, "certificate-authority-data": _text(authority.identity.certificate)}},
        "users": {
            "user": {"client-certificate-data": _text(user.certificate), "client-key-data": _text(user.key)},
        },
        "contexts": {"context": {"cluster": name, "user": name}},
    }
    lists = {kind: [{"name": name, **entry}] for kind, entry in named.items()}
    config = {"apiVersion": "v1", "kind": "Config", "current-context": name, **lists}
    write_secret(file, json.dumps(config, indent=1).encode())


def write_secret(file: Path, content: bytes) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    file.touch(mode=0o600)
    file.write_bytes(content)


def _name(user: str, groups: Sequence[str] = ()) -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _text(pem: bytes) -> str:
    return base64.b64encode(pem).decode()
