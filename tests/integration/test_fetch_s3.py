"""Objects fetched from a server that really speaks S3: signatures, policies, regions and errors are its own."""

import hashlib
import random
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from obstore.store import S3Store

from slipstream_testing.breaking_line import BreakingLine
from slipstream_testing.fetching import Fetcher
from slipstream_testing.s3_server import S3Server

BODY = random.Random(0).randbytes(5_000_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
_NUMBERS = count(1)


@pytest.fixture
def name() -> str:
    return f"models-{next(_NUMBERS)}"


@pytest.fixture
def bucket(s3_server: S3Server, name: str) -> S3Store:
    """A private bucket that holds one model."""
    store = s3_server.bucket(name)
    store.put("agents/my model.onnx", BODY)
    return store


@pytest.fixture
def uri(bucket: S3Store, name: str) -> str:
    return f"s3://{name}/agents/my model.onnx"


@pytest.fixture
def fetcher(tmp_path: Path) -> Fetcher:
    return Fetcher(tmp_path)


def test_an_object_is_read_with_the_keys_endpoint_and_region_of_a_mounted_secret(
    s3_server: S3Server, fetcher: Fetcher, uri: str
) -> None:
    got = fetcher.fetch(uri, SHA256, fetcher.secret("store", s3_server.keys))

    assert got.data == BODY


def test_an_object_is_read_with_the_keys_of_the_environment(s3_server: S3Server, fetcher: Fetcher, uri: str) -> None:
    fetcher.environ.update(s3_server.keys)

    assert fetcher.fetch(uri).sha256 == SHA256


def test_keys_are_also_found_under_the_names_that_argo_and_flux_use(
    s3_server: S3Server, fetcher: Fetcher, uri: str
) -> None:
    keys = s3_server.keys
    fetcher.environ.update({"AWS_ENDPOINT_URL": keys["AWS_ENDPOINT_URL"], "AWS_REGION": keys["AWS_REGION"]})
    secret = {"accesskey": keys["AWS_ACCESS_KEY_ID"], "secretkey": keys["AWS_SECRET_ACCESS_KEY"]}

    assert fetcher.fetch(uri, secret=fetcher.secret("store", secret)).sha256 == SHA256


def test_a_secret_is_used_alone_and_never_mixed_with_the_environment(
    s3_server: S3Server, fetcher: Fetcher, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in {"AWS_ACCESS_KEY_ID": "AKIAOTHER", "AWS_SESSION_TOKEN": "stale"}.items():
        monkeypatch.setenv(key, value)
        fetcher.environ[key] = value

    assert fetcher.fetch(uri, secret=fetcher.secret("store", s3_server.keys)).sha256 == SHA256


def test_a_wrong_secret_key_is_refused_without_showing_any(s3_server: S3Server, fetcher: Fetcher, uri: str) -> None:
    wrong = s3_server.keys | {"AWS_SECRET_ACCESS_KEY": "wr0ng-s3cret"}

    said = fetcher.refusal(uri, secret=fetcher.secret("store", wrong))

    assert said == (
        f"model {uri}: access denied (SignatureDoesNotMatch); "
        "check the keys in secret store, and that they may read this bucket"
    )
    assert fetcher.pauses == []


def test_an_unknown_access_key_points_at_the_secret(s3_server: S3Server, fetcher: Fetcher, uri: str) -> None:
    wrong = s3_server.keys | {"AWS_ACCESS_KEY_ID": "AKIAUNKNOWNUNKNOWN00"}

    said = fetcher.refusal(uri, secret=fetcher.secret("store", wrong))

    assert "check the keys in secret store" in said
    assert "AKIAUNKNOWN" not in said


def test_a_session_token_is_sent_along(s3_server: S3Server, fetcher: Fetcher, uri: str) -> None:
    # Root keys have no session here, so a server that gets a token refuses it: proof that it was sent and signed.
    with_token = s3_server.keys | {"AWS_SESSION_TOKEN": "t0ken"}

    said = fetcher.refusal(uri, secret=fetcher.secret("store", with_token))

    assert "t0ken" not in said


def test_a_wrong_region_names_the_right_one(s3_server: S3Server, fetcher: Fetcher, uri: str) -> None:
    wrong = s3_server.keys | {"AWS_REGION": "us-west-2"}

    said = fetcher.refusal(uri, secret=fetcher.secret("store", wrong))

    assert said.endswith("the bucket is in another region; set AWS_REGION to eu-central-1")


def test_a_public_object_needs_no_keys(s3_server: S3Server, fetcher: Fetcher, name: str) -> None:
    s3_server.bucket(name, public=True).put("model.onnx", BODY)
    fetcher.environ["AWS_ENDPOINT_URL"] = s3_server.endpoint

    assert fetcher.fetch(f"s3://{name}/model.onnx").sha256 == SHA256


def test_a_private_object_without_keys_asks_for_a_secret(s3_server: S3Server, fetcher: Fetcher, uri: str) -> None:
    fetcher.environ["AWS_ENDPOINT_URL"] = s3_server.endpoint

    said = fetcher.refusal(uri)

    assert "access denied" in said
    assert "give a secret with AWS_ACCESS_KEY_ID" in said


def test_a_missing_bucket_and_a_missing_object_are_told_apart(s3_server: S3Server, fetcher: Fetcher, uri: str) -> None:
    secret = fetcher.secret("store", s3_server.keys)

    assert "no such bucket" in fetcher.refusal("s3://nowhere/model.onnx", secret=secret)
    assert "no such object" in fetcher.refusal(uri + ".gone", secret=secret)


def test_another_object_than_the_pinned_one_is_refused(s3_server: S3Server, fetcher: Fetcher, uri: str) -> None:
    said = fetcher.refusal(uri, "0" * 64, fetcher.secret("store", s3_server.keys))

    assert f"its sha256 is {SHA256}, wanted {'0' * 64}" in said


def test_an_object_over_the_limit_is_refused_before_it_is_read(s3_server: S3Server, fetcher: Fetcher, uri: str) -> None:
    fetcher.limits = replace(fetcher.limits, max_bytes=1 << 20)

    assert "larger than 1 MiB" in fetcher.refusal(uri, secret=fetcher.secret("store", s3_server.keys))
    assert fetcher.said == []


def test_a_broken_read_goes_on_where_it_broke(s3_server: S3Server, fetcher: Fetcher, uri: str) -> None:
    with BreakingLine(s3_server.endpoint, [2_000_000, 2_000_000]) as line:
        secret = fetcher.secret("store", s3_server.keys | {"AWS_ENDPOINT_URL": line.url})

        assert fetcher.fetch(uri, secret=secret).sha256 == SHA256
        assert len(fetcher.pauses) == 2
        assert line.carried < len(BODY) * 1.5  # three whole reads would be three times that


def test_an_object_that_is_replaced_meanwhile_is_never_pieced_together(
    s3_server: S3Server, fetcher: Fetcher, uri: str, bucket: S3Store
) -> None:
    other = bytes(reversed(BODY))
    with BreakingLine(s3_server.endpoint, [2_000_000], lambda: bucket.put("agents/my model.onnx", other)) as line:
        secret = fetcher.secret("store", s3_server.keys | {"AWS_ENDPOINT_URL": line.url})

        assert fetcher.fetch(uri, secret=secret).data == other


def test_an_endpoint_that_resolves_to_a_metadata_address_is_refused(fetcher: Fetcher) -> None:
    fetcher.names["store.test"] = ["169.254.169.254"]
    fetcher.environ["AWS_ENDPOINT_URL"] = "http://store.test"

    said = fetcher.refusal("s3://models/model.onnx")

    assert "store.test resolves to 169.254.169.254, a link-local address" in said
