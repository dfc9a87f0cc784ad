"""Files from the web: broken lines are resumed, lies are noticed, and nothing forbidden is connected to."""

import datetime
import gzip
import hashlib
import ipaddress
import random
import re
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from slipstream_testing.fetching import Fetcher
from slipstream_testing.hostile_web import (
    HostileWeb,
    answer,
    broken_off,
    dripping,
    endless,
    file,
    hostile_web,
    redirect,
    until_the_client_leaves,
)

BODY = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
HALF = len(BODY) // 2


@pytest.fixture
def web() -> Iterator[HostileWeb]:
    with hostile_web() as running:
        yield running


@pytest.fixture
def fetcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fetcher:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return Fetcher(tmp_path)


def test_a_file_arrives_whole_with_its_digest(web: HostileWeb, fetcher: Fetcher) -> None:
    got = fetcher.fetch(web.add("/model.onnx", file(BODY)), SHA256)

    assert (got.data, got.size, got.sha256) == (BODY, len(BODY), SHA256)
    assert list(fetcher.folder.iterdir()) == []


def test_a_broken_line_is_resumed_where_it_broke(web: HostileWeb, fetcher: Fetcher) -> None:
    url = web.add("/model.onnx", broken_off(BODY, HALF), file(BODY))

    assert fetcher.fetch(url).sha256 == SHA256
    assert web.requests[1].headers["range"] == f"bytes={HALF}-"
    assert web.requests[1].headers["if-range"] == '"v1"'


def test_a_server_without_ranges_starts_over(web: HostileWeb, fetcher: Fetcher) -> None:
    url = web.add("/model.onnx", broken_off(BODY, HALF), file(BODY, ranges=False))

    assert fetcher.fetch(url).sha256 == SHA256


def test_a_file_without_etag_or_date_is_never_pieced_together(web: HostileWeb, fetcher: Fetcher) -> None:
    url = web.add("/model.onnx", broken_off(BODY, HALF, tag=None), file(BODY, tag=None))

    assert fetcher.fetch(url).sha256 == SHA256
    assert "range" not in web.requests[1].headers


def test_a_file_that_changed_meanwhile_is_read_from_its_start(web: HostileWeb, fetcher: Fetcher) -> None:
    url = web.add("/model.onnx", broken_off(b"x" * len(BODY), HALF, tag='"v0"'), file(BODY))

    assert fetcher.fetch(url).data == BODY


@pytest.mark.parametrize(
    "lie",
    [
        {"Content_Range": f"bytes {HALF}-{len(BODY) - 1}/{len(BODY)}", "ETag": '"v9"'},
        {"Content_Range": f"bytes {HALF - 1}-{len(BODY) - 1}/{len(BODY)}"},
        {"Content_Range": f"bytes {HALF}-{len(BODY) - 1}/{len(BODY) + 1}"},
        {"Content_Range": "bytes all/of-it"},
        {},
    ],
    ids=["another version", "another start", "another size", "no numbers", "no range"],
)
def test_a_part_of_something_else_is_not_appended(web: HostileWeb, fetcher: Fetcher, lie: dict[str, str]) -> None:
    url = web.add("/model.onnx", broken_off(BODY, HALF), answer(206, b"x" * (len(BODY) - HALF), **lie), file(BODY))

    assert fetcher.fetch(url).data == BODY


def test_a_part_that_was_not_asked_for_is_refused(web: HostileWeb, fetcher: Fetcher) -> None:
    part = answer(206, b"x" * (len(BODY) - HALF), Content_Range=f"bytes {HALF}-{len(BODY) - 1}/{len(BODY)}")

    said = fetcher.refusal(web.add("/model.onnx", broken_off(BODY, HALF, tag=None), part))

    assert "HTTP 206 in place of the file" in said


def test_pauses_double_while_nothing_comes_and_start_over_after_progress(web: HostileWeb, fetcher: Fetcher) -> None:
    busy = answer(503)
    url = web.add("/model.onnx", busy, busy, busy, broken_off(BODY, HALF), busy, file(BODY))

    assert fetcher.fetch(url).sha256 == SHA256
    assert fetcher.pauses == [0.5, 1.0, 2.0, 0.5, 1.0]


def test_a_pause_that_the_server_asks_for_is_kept_up_to_a_minute(web: HostileWeb, fetcher: Fetcher) -> None:
    fetcher.limits = replace(fetcher.limits, total_seconds=600.0)
    url = web.add("/model.onnx", answer(429, Retry_After="7"), answer(429, Retry_After="99999"), file(BODY))

    assert fetcher.fetch(url).sha256 == SHA256
    assert fetcher.pauses == [7.0, 60.0]


def test_attempts_without_a_new_byte_come_to_an_end(web: HostileWeb, fetcher: Fetcher) -> None:
    said = fetcher.refusal(web.add("/model.onnx", answer(503)))

    assert said.endswith("cannot be read (the server answers HTTP 503; 5 attempts); check the address and the network")
    assert len(web.requests) == 5


def test_a_length_longer_than_the_body_is_noticed(web: HostileWeb, fetcher: Fetcher) -> None:
    said = fetcher.refusal(web.add("/model.onnx", answer(200, BODY, Content_Length=str(len(BODY) + 1))))

    assert f"the body ended early, after {len(BODY)} bytes of {len(BODY) + 1}" in said


def test_a_length_shorter_than_the_body_is_noticed(web: HostileWeb, fetcher: Fetcher) -> None:
    said = fetcher.refusal(web.add("/model.onnx", answer(200, BODY, Content_Length="1000")), SHA256)

    # What follows the body is no answer; where it comes too late to be seen, the digest tells.
    assert "no valid HTTP" in said or f"wanted {SHA256}" in said


def test_another_file_than_the_pinned_one_is_refused(web: HostileWeb, fetcher: Fetcher) -> None:
    assert "correct the address or the digest" in fetcher.refusal(web.add("/model.onnx", file(BODY)), "0" * 64)


def test_an_empty_file_is_refused(web: HostileWeb, fetcher: Fetcher) -> None:
    assert fetcher.refusal(web.add("/model.onnx", file(b""))).endswith("the file is empty; check the address")


def test_a_declared_size_over_the_limit_is_refused_before_the_body(web: HostileWeb, fetcher: Fetcher) -> None:
    said = fetcher.refusal(web.add("/model.onnx", answer(200, b"x", Content_Length=str(10 << 30))))

    assert said.endswith("larger than 2048 MiB, the most a build takes; make it smaller")


def test_an_endless_body_is_cut_at_the_limit(web: HostileWeb, fetcher: Fetcher) -> None:
    fetcher.limits = replace(fetcher.limits, max_bytes=1 << 20)

    assert "larger than 1 MiB" in fetcher.refusal(web.add("/model.onnx", endless))


def test_a_compressed_body_is_refused_and_never_unpacked(web: HostileWeb, fetcher: Fetcher) -> None:
    bomb = gzip.compress(bytes(50 << 20))

    said = fetcher.refusal(web.add("/model.onnx", answer(200, bomb, Content_Encoding="gzip")))

    assert "the server sends it compressed ('gzip') unasked" in said
    assert web.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc"], ids=["head", "body"])
def test_a_server_that_falls_silent_is_left(web: HostileWeb, fetcher: Fetcher, first: bytes) -> None:
    fetcher.limits = replace(fetcher.limits, read_seconds=0.1, attempts=1)

    assert "the server was silent for 0.1 s" in fetcher.refusal(web.add("/model.onnx", until_the_client_leaves(first)))


def test_a_body_that_drips_is_left_at_the_deadline(web: HostileWeb, fetcher: Fetcher) -> None:
    fetcher.limits = replace(fetcher.limits, total_seconds=0.3)

    assert "not complete within 0.3 s" in fetcher.refusal(web.add("/model.onnx", dripping))


def test_a_redirect_is_followed(web: HostileWeb, fetcher: Fetcher) -> None:
    web.add("/model.onnx", file(BODY))

    assert fetcher.fetch(web.add("/latest", redirect("/model.onnx", 307))).sha256 == SHA256


def test_a_redirect_loop_is_refused(web: HostileWeb, fetcher: Fetcher) -> None:
    web.add("/b", redirect("/a"))

    assert "it redirects in a loop" in fetcher.refusal(web.add("/a", redirect("/b")))
    assert len(web.requests) == 2


def test_too_many_redirects_are_refused(web: HostileWeb, fetcher: Fetcher) -> None:
    for number in range(20):
        web.add(f"/{number}", redirect(f"/{number + 1}"))

    assert "it redirects more than 10 times" in fetcher.refusal(web.url("/0"))
    assert len(web.requests) == 11


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1:1/x", ""])
def test_a_redirect_away_from_the_web_is_refused(web: HostileWeb, fetcher: Fetcher, target: str) -> None:
    said = fetcher.refusal(web.add("/model.onnx", redirect(target)))

    assert "it redirects to" in said
    assert "root:" not in said


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "100.100.100.200", "[::]"]
)
def test_a_redirect_to_a_forbidden_address_is_refused(web: HostileWeb, fetcher: Fetcher, host: str) -> None:
    said = fetcher.refusal(web.add("/model.onnx", redirect(f"http://{host}/latest/meta-data")))

    assert "from which nothing is fetched" in said


def test_a_name_that_resolves_to_a_forbidden_address_is_refused(web: HostileWeb, fetcher: Fetcher) -> None:
    fetcher.names["innocent.test"] = ["169.254.169.254"]

    said = fetcher.refusal(web.url("/model.onnx", "innocent.test"))

    assert "innocent.test resolves to 169.254.169.254, a link-local address, from which nothing is fetched" in said
    assert fetcher.pauses == []


def test_the_address_that_was_checked_is_the_one_connected_to(web: HostileWeb, fetcher: Fetcher) -> None:
    web.add("/model.onnx", file(BODY))
    fetcher.names["rebinding.test"] = ["127.0.0.1", "169.254.169.254"]

    assert fetcher.fetch(web.url("/model.onnx", "rebinding.test")).sha256 == SHA256
    assert fetcher.names["rebinding.test"] == ["169.254.169.254"]  # not asked a second time


def test_a_name_that_changes_before_the_next_attempt_is_checked_again(web: HostileWeb, fetcher: Fetcher) -> None:
    web.add("/model.onnx", broken_off(BODY, HALF))
    fetcher.names["rebinding.test"] = ["127.0.0.1", "169.254.169.254"]

    assert "resolves to 169.254.169.254" in fetcher.refusal(web.url("/model.onnx", "rebinding.test"))


def test_a_token_goes_to_its_own_origin_only(web: HostileWeb, fetcher: Fetcher) -> None:
    name = fetcher.secret("web", {"token": "s3cr3t"})
    with hostile_web() as other:
        url = web.add("/model.onnx", redirect(other.add("/there", file(BODY))))

        assert fetcher.fetch(url, secret=name).sha256 == SHA256
        assert "authorization" not in other.requests[0].headers
    assert web.requests[0].headers["authorization"] == "Bearer s3cr3t"


def test_user_and_password_of_a_basic_auth_secret_are_sent(web: HostileWeb, fetcher: Fetcher) -> None:
    name = fetcher.secret("web", {"username": "me", "password": "pass"})

    fetcher.fetch(web.add("/model.onnx", file(BODY)), secret=name)

    assert web.requests[0].headers["authorization"] == "Basic bWU6cGFzcw=="


def test_credentials_in_an_address_are_used_and_never_shown(web: HostileWeb, fetcher: Fetcher) -> None:
    web.add("/model.onnx?sig=q5ignature", answer(403))
    url = web.url("/model.onnx?sig=q5ignature").replace("://", "://me:passw0rd@")

    said = fetcher.refusal(url)

    assert web.requests[0].headers["authorization"].startswith("Basic ")
    assert said == (
        f"model http://***@127.0.0.1:{web.port}/model.onnx?***: access denied (HTTP 403); "
        "name a secret with the key token, or username and password"
    )


def test_a_secret_that_the_server_echoes_is_not_shown(web: HostileWeb, fetcher: Fetcher) -> None:
    name = fetcher.secret("web", {"token": "s3cr3t"})

    said = fetcher.refusal(web.add("/model.onnx", answer(200, b"x", Content_Encoding="s3cr3t")), secret=name)

    assert "s3cr3t" not in said


@pytest.mark.parametrize(
    ("status", "words"),
    [(404, "no such file (HTTP 404)"), (500, "the server answers HTTP 500"), (204, "HTTP 204 in place of the file")],
)
def test_a_failure_is_one_line_that_says_what_to_do(web: HostileWeb, fetcher: Fetcher, status: int, words: str) -> None:
    said = fetcher.refusal(web.add("/model.onnx", answer(status)))

    assert words in said
    assert "check the address" in said


def test_what_is_no_http_is_refused(web: HostileWeb, fetcher: Fetcher) -> None:
    url = web.add("/model.onnx", lambda _request, line: line.sendall(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"))

    assert "the server's answer is no valid HTTP" in fetcher.refusal(url)


def test_a_port_that_nobody_listens_on_is_named_without_internals(fetcher: Fetcher) -> None:
    with hostile_web() as gone:
        url = gone.url("/model.onnx")

    assert "no connection to 127.0.0.1: Connection refused; 5 attempts" in fetcher.refusal(url)


def test_progress_is_told_with_an_estimate(web: HostileWeb, fetcher: Fetcher) -> None:
    url = web.add("/model.onnx", broken_off(BODY, HALF), answer(503, Retry_After="3"), file(BODY))

    fetcher.fetch(url)

    assert re.fullmatch(r"(0\.[5-9]\d|1\.00) 0\.[23] of 0\.3 MB, about \d s left", fetcher.said[0])


class TestBehindAProxy:
    @pytest.fixture(autouse=True)
    def proxy(self, web: HostileWeb, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("http_proxy", web.url(""))
        monkeypatch.setenv("no_proxy", "near.test")

    def test_the_proxy_is_asked_for_a_name_that_only_it_can_resolve(self, web: HostileWeb, fetcher: Fetcher) -> None:
        web.add("http://far.invalid/model.onnx", file(BODY))

        assert fetcher.fetch("http://far.invalid/model.onnx").sha256 == SHA256

    def test_hosts_that_the_environment_excepts_are_reached_directly(self, web: HostileWeb, fetcher: Fetcher) -> None:
        web.add("/model.onnx", file(BODY))
        fetcher.names["near.test"] = ["127.0.0.1"]

        assert fetcher.fetch(web.url("/model.onnx", "near.test")).sha256 == SHA256
        assert fetcher.names["near.test"] == []

    @pytest.mark.parametrize("host", ["far.test", "169.254.169.254"])
    def test_forbidden_addresses_stay_forbidden(self, web: HostileWeb, fetcher: Fetcher, host: str) -> None:
        fetcher.names["far.test"] = ["169.254.169.254"]

        assert "a link-local address, from which nothing is fetched" in fetcher.refusal(f"http://{host}/model.onnx")
        assert web.requests == []


class TestWithTls:
    @pytest.fixture
    def authority(self, tmp_path: Path) -> Path:
        """A certificate for 127.0.0.1 with its key, in one file."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
        start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + datetime.timedelta(days=36500))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
            .sign(key, hashes.SHA256())
        )
        pem, raw = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        path = tmp_path / "server.pem"
        path.write_bytes(key.private_bytes(pem, raw, serialization.NoEncryption()) + certificate.public_bytes(pem))
        return path

    @pytest.fixture
    def secure(self, authority: Path) -> Iterator[HostileWeb]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority)
        with hostile_web(context) as running:
            yield running

    def test_an_unknown_authority_is_not_trusted(self, secure: HostileWeb, fetcher: Fetcher) -> None:
        assert "the server's certificate is not trusted" in fetcher.refusal(secure.add("/model.onnx", file(BODY)))

    def test_an_authority_in_the_secret_is_trusted(self, secure: HostileWeb, fetcher: Fetcher, authority: Path) -> None:
        certificate = authority.read_text().partition("-----END PRIVATE KEY-----\n")[2]
        name = fetcher.secret("web", {"ca.crt": certificate})

        assert fetcher.fetch(secure.add("/model.onnx", file(BODY)), secret=name).sha256 == SHA256

    def test_a_redirect_from_https_to_http_is_refused(
        self, secure: HostileWeb, web: HostileWeb, fetcher: Fetcher, authority: Path
    ) -> None:
        certificate = authority.read_text().partition("-----END PRIVATE KEY-----\n")[2]
        name = fetcher.secret("web", {"ca.crt": certificate})
        url = secure.add("/model.onnx", redirect(web.add("/plain", file(BODY))))

        assert "it redirects from https to http" in fetcher.refusal(url, secret=name)
        assert web.requests == []
