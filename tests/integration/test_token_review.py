"""Replicas let in those whom a real API server knows and permits, and go on with them while it is away."""

import base64
import json
from pathlib import Path

import pytest

from slipstream_runtime.callers.api_server import ApiServer
from slipstream_runtime.callers.gate import AUDIENCE
from slipstream_runtime.callers.tokens import TokenReviewGate
from slipstream_runtime.callers.verdicts import FRESH_SECONDS, STALE_SECONDS
from slipstream_runtime.errors import AuthenticationError, ForbiddenError, StartError, UnavailableError

RIGHTS = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: replica-{namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:auth-delegator}}
subjects: [{{kind: ServiceAccount, name: replica, namespace: {namespace}}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: use-tiny, namespace: {namespace}}}
rules:
  - {{apiGroups: [slipstream.dev], resources: [agentdeployments/infer], resourceNames: [tiny], verbs: [create]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: use-tiny, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: use-tiny}}
subjects: [{{kind: ServiceAccount, name: shop, namespace: {namespace}}}]
"""


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Place:
    """A namespace with a replica's account, one that may use the model `tiny`, and one that may not."""

    def __init__(self, control_plane, namespace, folder: Path):
        self.control_plane, self.namespace, self.folder = control_plane, namespace, folder
        for account in ("replica", "shop", "stranger"):
            control_plane.kubectl("create", "serviceaccount", account, f"--namespace={namespace}")
        control_plane.kubectl("apply", "-f", "-", input=RIGHTS.format(namespace=namespace))
        (folder / "token").write_text(self.token("replica", ""))
        (folder / "ca.crt").write_bytes(control_plane.certificate_authority.read_bytes())
        (folder / "namespace").write_text(namespace)

    def token(self, account, audience=AUDIENCE):
        audiences = [f"--audience={audience}"] if audience else []
        done = self.control_plane.kubectl("create", "token", account, f"--namespace={self.namespace}", *audiences)
        return done.stdout.strip()

    def bearer(self, account, audience=AUDIENCE):
        return b"Bearer " + self.token(account, audience).encode()

    def gate(self, model="tiny", **clocks):
        return TokenReviewGate(ApiServer(model, self.control_plane.url, self.folder), **clocks)


@pytest.fixture
def place(control_plane, namespace, tmp_path):
    return Place(control_plane, namespace, tmp_path)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def gate(place, clock):
    gate = place.gate(clock=clock)
    yield gate
    await gate.close()


async def test_an_account_with_the_right_is_let_in_and_then_known_for_a_minute(gate, place, clock):
    header = place.bearer("shop")
    assert gate.known(header) is None
    caller = await gate.review(header)
    assert caller.tenant == f"user:system:serviceaccount:{place.namespace}:shop".encode()
    assert gate.known(header) == caller
    clock.now += FRESH_SECONDS
    assert gate.known(header) is None


async def test_an_account_without_the_right_is_told_which_one_is_missing(gate, place):
    with pytest.raises(ForbiddenError, match=r"verb create on agentdeployments/infer .* namespace test-"):
        await gate.review(place.bearer("stranger"))


async def test_the_right_to_one_model_is_none_to_another(place):
    gate = place.gate(model="other")
    with pytest.raises(ForbiddenError):
        await gate.review(place.bearer("shop"))
    await gate.close()


async def test_tokens_for_another_audience_damaged_tokens_and_none_at_all_are_refused(gate, place):
    good = place.bearer("shop")
    head, payload, signature = good.split(b".")
    claims = json.loads(base64.urlsafe_b64decode(payload + b"=="))
    claims["sub"] = claims["sub"].replace("shop", "replica")
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
    wrong = [place.bearer("shop", ""), place.bearer("shop", "other.dev"), head + b"." + forged + b"." + signature]
    for header in [*wrong, b"Bearer garbage", b"Bearer \xff", b"Basic x", b"Bearer ", b"Bearer " + b"x" * 9000, None]:
        with pytest.raises(AuthenticationError):
            await gate.review(header)
        assert gate.known(header) is None


async def test_while_the_api_server_is_away_known_callers_go_on_for_a_while_and_nobody_new_gets_in(gate, place, clock):
    header, stranger = place.bearer("shop"), place.bearer("stranger")
    caller = await gate.review(header)
    place.control_plane.stop_apiserver()
    try:
        clock.now += FRESH_SECONDS + 1
        assert await gate.review(header) == caller
        with pytest.raises(UnavailableError) as refused:
            await gate.review(stranger)
        assert refused.value.retry_after >= 1
        clock.now += STALE_SECONDS
        with pytest.raises(UnavailableError):
            await gate.review(header)
    finally:
        place.control_plane.start_apiserver()
    clock.now += 60
    assert await gate.review(header) == caller


async def test_a_replica_without_the_right_to_review_says_so_in_its_log(gate, place, caplog):
    (place.folder / "token").write_text(place.token("stranger", ""))
    with pytest.raises(UnavailableError):
        await gate.review(place.bearer("shop"))
    assert "system:auth-delegator" in caplog.text


def test_outside_a_pod_the_replica_does_not_start(tmp_path):
    with pytest.raises(StartError, match="automountServiceAccountToken"):
        ApiServer("tiny", folder=tmp_path)
