"""A model that never ends on one request costs that request, not the replica; and if it did, the probe would tell."""

import contextlib
import threading

import httpx
import pytest

from slipstream_testing.artifacts import slow, write_artifact
from slipstream_testing.replicas import replica

ENDLESS = 10**12
STOPPED_SOON = "from slipstream_runtime.model import watchdog; watchdog.STUCK_SECONDS = 0.5"
NEVER_STOPPED = "from slipstream_runtime.observing import health; health.WEDGED_SECONDS = 1.0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slow")
    write_artifact(folder, slow())
    return folder


def ask(running, rounds, timeout=20):
    body = {"inputs": [{"name": "rounds", "shape": [1, 1], "datatype": "INT64", "data": [rounds]}]}
    headers = {"X-Request-Timeout": "15"}
    return httpx.post(f"{running.url}/v2/models/tiny/infer", json=body, headers=headers, timeout=timeout)


def abandoned(running):
    with contextlib.suppress(httpx.HTTPError):
        ask(running, ENDLESS)


def test_a_run_without_end_is_stopped_and_the_replica_lives_on(folder):
    with replica(folder, prelude=STOPPED_SOON, objective_milliseconds=5000) as running:
        refused = ask(running, ENDLESS)
        assert refused.status_code == 500
        assert refused.json() == {"error": "the model took too long on this request and was stopped"}
        answered = ask(running, 7)
        assert answered.status_code == 200
        assert answered.json()["outputs"][0]["data"] == [7]
        assert httpx.get(f"{running.metrics_url}/livez").status_code == 200


def test_a_run_that_nobody_stops_fails_the_liveness_probe(folder):
    """The model's thread is stuck here, not the loop, so that the probe itself still answers."""
    slow_enough_for_a_thread = "from slipstream_contract import processes; processes.LOOP_SECONDS = 0.0"
    prelude = f"{NEVER_STOPPED}\n{slow_enough_for_a_thread}"
    with replica(folder, prelude=prelude, objective_milliseconds=5000) as running:
        assert httpx.get(f"{running.metrics_url}/livez").status_code == 200
        caller = threading.Thread(target=abandoned, args=(running,))
        caller.start()
        codes = iter(lambda: httpx.get(f"{running.metrics_url}/livez").status_code, 503)
        assert all(code == 200 for code in codes)
        running.process.kill()
        caller.join(timeout=20)
