"""Google Cloud Storage, the hub and hostile object stores: small servers on loopback that speak the few calls needed.

There is no such server to build from source for these two services; S3 is tested against a real one elsewhere.
"""

import base64
import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from slipstream_testing.fetching import Fetcher
from slipstream_testing.hostile_web import (
    HostileWeb,
    Route,
    answer,
    broken_off,
    dripping,
    file,
    hostile_web,
    redirect,
    until_the_client_leaves,
)

BODY = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
DATE = "Wed, 01 Jan 2025 00:00:00 GMT"
URI = {"s3": "s3://models/model.onnx", "gs": "gs://models/model.onnx"}
PATH = "/models/model.onnx"


def stored(body: bytes) -> Route:
    """An object as both services send it."""
    return answer(200, body, ETag='"v1"', Last_Modified=DATE)


@pytest.fixture
def web() -> Iterator[HostileWeb]:
    with hostile_web() as running:
        yield running


@pytest.fixture
def fetcher(tmp_path: Path, web: HostileWeb, monkeypatch: pytest.MonkeyPatch) -> Fetcher:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("slipstream_builder.fetching.hub.get_token", lambda: None)
    here = web.url("")
    return Fetcher(tmp_path, {"STORAGE_EMULATOR_HOST": here, "AWS_ENDPOINT_URL": here, "HF_ENDPOINT": here})


class TestGoogleCloudStorage:
    def test_a_public_object_is_asked_for_without_credentials(self, web: HostileWeb, fetcher: Fetcher) -> None:
        web.add(PATH, stored(BODY))

        assert fetcher.fetch(URI["gs"]).sha256 == SHA256
        assert "authorization" not in web.requests[0].headers

    @pytest.mark.parametrize(
        "key", ["GOOGLE_APPLICATION_CREDENTIALS", "key.json", "gcloud-application-credentials.json"]
    )
    def test_a_service_account_signs_with_its_own_key(self, web: HostileWeb, fetcher: Fetcher, key: str) -> None:
        private = rsa.generate_private_key(65537, 2048)
        web.add(PATH, stored(BODY))

        assert fetcher.fetch(URI["gs"], secret=fetcher.secret("gcp", {key: service_account(private)})).sha256 == SHA256
        signed, _, signature = web.requests[0].headers["authorization"].removeprefix("Bearer ").rpartition(".")
        raw = base64.urlsafe_b64decode(signature + "==")
        private.public_key().verify(raw, signed.encode(), padding.PKCS1v15(), hashes.SHA256())

    def test_a_file_that_the_environment_names_is_used(self, web: HostileWeb, fetcher: Fetcher) -> None:
        path = fetcher.folder / "account.json"
        path.write_text(service_account(rsa.generate_private_key(65537, 2048)))
        fetcher.environ["GOOGLE_APPLICATION_CREDENTIALS"] = str(path)
        web.add(PATH, stored(BODY))

        assert fetcher.fetch(URI["gs"]).sha256 == SHA256
        assert web.requests[0].headers["authorization"].startswith("Bearer ")

    def test_credentials_that_are_none_are_refused_without_being_shown(self, fetcher: Fetcher) -> None:
        said = fetcher.refusal(URI["gs"], secret=fetcher.secret("gcp", {"key.json": '{"private_key": "s3cr3t"}'}))

        assert "the credentials have a form that the store does not take" in said
        assert "s3cr3t" not in said

    def test_a_missing_object_is_said_to_be_missing(self, fetcher: Fetcher) -> None:
        assert "no such object" in fetcher.refusal(URI["gs"])


@pytest.mark.parametrize("scheme", ["s3", "gs"])
class TestHostileStores:
    def test_a_denial_does_not_repeat_what_the_store_says(self, web: HostileWeb, fetcher: Fetcher, scheme: str) -> None:
        text = b"<Error><Code>AccessDenied</Code><StringToSign>s3cr3t</StringToSign></Error>"
        web.add(PATH, answer(403, text))

        said = fetcher.refusal(URI[scheme])

        assert "access denied (AccessDenied); it is not public" in said
        assert "s3cr3t" not in said

    def test_a_failing_store_is_asked_again(self, web: HostileWeb, fetcher: Fetcher, scheme: str) -> None:
        web.add(PATH, answer(503), answer(500), stored(BODY))

        assert fetcher.fetch(URI[scheme]).sha256 == SHA256
        assert fetcher.pauses == [0.5, 1.0]

    def test_a_body_shorter_than_promised_is_noticed(self, web: HostileWeb, fetcher: Fetcher, scheme: str) -> None:
        web.add(PATH, answer(200, BODY, ETag='"v1"', Last_Modified=DATE, Content_Length="400000"), answer(500))

        assert "cannot be read" in fetcher.refusal(URI[scheme])

    def test_a_declared_size_over_the_limit_is_refused(self, web: HostileWeb, fetcher: Fetcher, scheme: str) -> None:
        web.add(PATH, answer(200, b"x", ETag='"v1"', Last_Modified=DATE, Content_Length=str(10 << 30)))

        assert "larger than 2048 MiB" in fetcher.refusal(URI[scheme])

    def test_a_redirect_to_a_metadata_address_is_refused(self, web: HostileWeb, fetcher: Fetcher, scheme: str) -> None:
        web.add(PATH, redirect("http://169.254.169.254/latest/meta-data/"))

        assert "169.254.169.254 is a link-local address" in fetcher.refusal(URI[scheme])

    def test_a_name_is_resolved_once_and_that_address_is_used(
        self, web: HostileWeb, fetcher: Fetcher, scheme: str
    ) -> None:
        web.add(PATH, stored(BODY))
        fetcher.names["rebinding.test"] = ["127.0.0.1", "169.254.169.254"]
        for name in ("AWS_ENDPOINT_URL", "STORAGE_EMULATOR_HOST"):
            fetcher.environ[name] = web.url("", "rebinding.test")

        assert fetcher.fetch(URI[scheme]).sha256 == SHA256
        assert fetcher.names["rebinding.test"] == ["169.254.169.254"]

    def test_a_silent_store_is_left(self, web: HostileWeb, fetcher: Fetcher, scheme: str) -> None:
        fetcher.limits = replace(fetcher.limits, read_seconds=0.2, attempts=1)
        web.add(PATH, until_the_client_leaves(b""))

        assert "was silent, or too slow" in fetcher.refusal(URI[scheme])

    def test_a_dripping_store_is_left_at_the_deadline(self, web: HostileWeb, fetcher: Fetcher, scheme: str) -> None:
        fetcher.limits = replace(fetcher.limits, total_seconds=0.4)
        web.add(PATH, dripping)

        assert "not complete within 0.4 s" in fetcher.refusal(URI[scheme])

    def test_an_endpoint_that_nobody_listens_on_is_named(self, fetcher: Fetcher, scheme: str) -> None:
        with hostile_web() as gone:
            fetcher.environ |= {"STORAGE_EMULATOR_HOST": gone.url(""), "AWS_ENDPOINT_URL": gone.url("")}

        assert "no connection to 127.0.0.1: Connection refused; 5 attempts" in fetcher.refusal(URI[scheme])


class TestHub:
    def test_a_file_comes_from_the_branch_main_of_the_endpoint(self, web: HostileWeb, fetcher: Fetcher) -> None:
        web.add("/org/repo/resolve/main/onnx/model.onnx", file(BODY))

        assert fetcher.fetch("hf://org/repo/onnx/model.onnx", SHA256).data == BODY
        assert "authorization" not in web.requests[0].headers

    def test_a_revision_and_a_data_set_are_found(self, web: HostileWeb, fetcher: Fetcher) -> None:
        web.add("/datasets/org/repo/resolve/refs%2Fpr%2F7/a.npz", file(BODY))

        assert fetcher.fetch("hf://datasets/org/repo@refs%2Fpr%2F7/a.npz").sha256 == SHA256

    def test_the_token_of_the_secret_stays_with_the_hub(self, web: HostileWeb, fetcher: Fetcher) -> None:
        secret = fetcher.secret("hub", {"HF_TOKEN": "hf_s3cr3t"})
        with hostile_web() as store:
            web.add("/org/repo/resolve/main/m.onnx", redirect(store.add("/blob?sig=1", file(BODY))))

            assert fetcher.fetch("hf://org/repo/m.onnx", secret=secret).sha256 == SHA256
            assert "authorization" not in store.requests[0].headers
        assert web.requests[0].headers["authorization"] == "Bearer hf_s3cr3t"

    def test_a_broken_line_is_resumed_through_the_redirect(self, web: HostileWeb, fetcher: Fetcher) -> None:
        web.add("/org/repo/resolve/main/m.onnx", redirect("/blob"))
        web.add("/blob", broken_off(BODY, 100_000), file(BODY))

        assert fetcher.fetch("hf://org/repo/m.onnx").sha256 == SHA256
        assert web.requests[-1].headers["range"] == "bytes=100000-"

    def test_a_private_repository_asks_for_a_token(self, web: HostileWeb, fetcher: Fetcher) -> None:
        web.add("/org/repo/resolve/main/m.onnx", answer(401))

        said = fetcher.refusal("hf://org/repo/m.onnx")

        assert "it is private or gated: give a secret with HF_TOKEN" in said


def service_account(key: rsa.RSAPrivateKey) -> str:
    """The JSON file of a service account with this key."""
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return json.dumps(
        {
            "type": "service_account",
            "private_key": pem,
            "private_key_id": "1",
            "client_email": "builder@project.iam.gserviceaccount.com",
        }
    )
