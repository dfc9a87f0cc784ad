"""What `helm test` runs: one operator leads, all are well, and their metrics are for those alone who may read them."""

import json
import socket
import ssl
import sys
import time
import urllib.error
import urllib.request

PATIENCE_SECONDS = 60
WITHOUT_TOKEN = {"Authenticated": 401, "Open": 200, "Off": 404}


def asked(url: str) -> tuple[int, bytes]:
    """Return the status and the body; whose certificate it is does not matter here, for nothing secret is sent."""
    context = ssl._create_unverified_context()  # noqa: S323 (as the docstring says)
    try:
        with urllib.request.urlopen(url, timeout=5, context=context) as answer:  # noqa: S310 (the chart writes it)
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def problem(scheme: str, host: str, port: int, metrics: str) -> str:
    """Return what is wrong, or nothing."""
    addresses = sorted({found[4][0] for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})
    leaders = 0
    for address in addresses:
        base = f"{scheme}://[{address}]:{port}" if ":" in address else f"{scheme}://{address}:{port}"
        status, body = asked(f"{base}/healthz")
        health = json.loads(body)
        if status != 200:
            return f"{address}: {'; '.join(health['problems'])}"
        leaders += health["leading"]
        status, _ = asked(f"{base}/metrics")
        if status != WITHOUT_TOKEN[metrics]:
            return f"{address}: /metrics answers {status} without a token; {WITHOUT_TOKEN[metrics]} was expected"
    return "" if leaders == 1 else f"{leaders} of {len(addresses)} operators lead; see their logs"


def main(scheme: str, host: str, port: str, metrics: str) -> int:
    """Try until all is well, or a minute is over; return the exit code."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            found = problem(scheme, host, int(port), metrics)
        except (OSError, ValueError) as error:
            found = f"{host}:{port}: {error}"
        if not found or time.monotonic() > until:
            sys.stdout.write(f"{found or 'one operator leads, and all are well'}\n")
            return int(bool(found))
        time.sleep(2)


sys.exit(main(*sys.argv[1:]))
