"""An external-metrics API with one figure that the test sets, served over HTTPS here and registered for real.

The API server asks it as it would ask any metrics adapter, and the horizontal pod autoscaler asks the API server.
"""

import json
import ssl
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from slipstream_testing.control_plane import ControlPlane

GROUP, VERSION = "external.metrics.k8s.io", "v1beta1"
NAMESPACE = "default"
NAME = "external-metrics"


class MetricsApi:
    """The metrics adapter, from the beginning of a `with` block to its end; `value` is what any metric has now."""

    def __init__(self, control_plane: ControlPlane, folder: Path) -> None:
        """Prepare the server; nothing listens yet."""
        self.value = 0
        self.asked: list[str] = []
        self._control_plane = control_plane
        self._certificate = _certificate(folder / "metrics.pem")
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        """Serve, and register with the API server."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate)
        self._server = server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, name="metrics-api", daemon=True).start()
        self._register(server.server_address[1])
        return self

    def __exit__(self, *_: object) -> None:
        """Take the registration back, and end."""
        kubectl = self._control_plane.kubectl
        kubectl("delete", "apiservice", f"{VERSION}.{GROUP}")
        kubectl("delete", "service", NAME, "-n", NAMESPACE)
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _register(self, port: int) -> None:
        """An ExternalName leads the API server to this machine, where no proxy knows the addresses of Services."""
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": NAME, "namespace": NAMESPACE},
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        }
        registration = {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"{VERSION}.{GROUP}"},
            "spec": {
                "group": GROUP,
                "version": VERSION,
                "service": {"name": NAME, "namespace": NAMESPACE, "port": port},
                "insecureSkipTLSVerify": True,
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
            },
        }
        for document in (service, registration):
            self._control_plane.kubectl("apply", "-f", "-", input=json.dumps(document))
        self._control_plane.kubectl(
            "wait", "--for=condition=Available", "apiservice", f"{VERSION}.{GROUP}", "--timeout=30s"
        )

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            """Answers every question with the one figure."""

            def do_GET(self) -> None:
                """Answer."""
                body = json.dumps(api._answer(self.path)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler

    def _answer(self, path: str) -> dict[str, Any]:
        group_version = f"{GROUP}/{VERSION}"
        if "/namespaces/" not in path:
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": []}
        self.asked.append(path)
        name = path.partition("?")[0].rpartition("/")[2]
        item = {"metricName": name, "metricLabels": {}, "timestamp": _now(), "value": str(self.value)}
        return {"kind": "ExternalMetricValueList", "apiVersion": group_version, "metadata": {}, "items": [item]}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _certificate(file: Path) -> Path:
    """Write a key and a certificate that it signed itself, for an hour."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.touch(mode=0o600)
    file.write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    return file
