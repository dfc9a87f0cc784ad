"""Only those with a known key get in, keys rotate without a restart, and tokens are reviewed once for all who wait."""

import asyncio
import hashlib
import os
import subprocess
import sys

import pytest

from slipstream_contract.serving import ServingOptions
from slipstream_runtime.callers.gate import ANONYMOUS, Caller
from slipstream_runtime.callers.key_file import make_key, parse_keys
from slipstream_runtime.callers.keys import LOOK_SECONDS, KeysGate
from slipstream_runtime.callers.opening import open_gate
from slipstream_runtime.callers.tokens import MAX_REVIEWS, TokenReviewGate
from slipstream_runtime.callers.verdicts import FRESH_SECONDS, REFUSED_SECONDS, STALE_SECONDS, lifetime
from slipstream_runtime.errors import AuthenticationError, StartError, UnavailableError


def line(name, key):
    return f"{name}:{hashlib.sha256(key.encode()).hexdigest()}\n"


def bearer(key):
    return b"Bearer " + key.encode()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "keys"
    path.write_text("# who may call\n\n" + line("alice", "key-a") + line("alice", "key-a2") + line("bob", "key-b"))
    return path


async def test_a_key_tells_the_tenant_and_two_keys_of_one_name_are_one_tenant(file):
    gate = KeysGate(str(file))
    assert await gate.review(bearer("key-a")) == await gate.review(b"bearer  key-a2") == Caller(b"key:alice")
    assert await gate.review(bearer("key-b")) == Caller(b"key:bob")
    assert gate.known(bearer("key-a")) == Caller(b"key:alice")


@pytest.mark.parametrize(
    "header", [None, b"", b"Bearer", b"Bearer ", b"Bearer nobody's", b"Basic key-a", b"key-a", b"Bearer \xff\x00"]
)
async def test_everyone_else_is_refused(file, header):
    gate = KeysGate(str(file))
    assert gate.known(header) is None
    with pytest.raises(AuthenticationError):
        await gate.review(header)
    assert gate.known(header) is None


async def test_the_digest_in_the_file_is_no_key(file):
    with pytest.raises(AuthenticationError):
        await KeysGate(str(file)).review(bearer(hashlib.sha256(b"key-a").hexdigest()))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no key"),
        ("# nobody\n", "holds no key"),
        ("alice:123\n", "line 1: must be NAME:SHA256_HEX"),
        ("\nalice\n", "line 2"),
        (line("al ice", "k"), "line 1"),
        (line("", "k"), "line 1"),
        (line("a", "k") + line("b", "k"), "line 2: the key of an earlier line"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_line(text, words):
    with pytest.raises(StartError, match=words):
        parse_keys(text)


def test_a_missing_file_and_one_that_everyone_may_write_are_refused(file):
    with pytest.raises(StartError, match="give a readable file"):
        KeysGate(str(file) + "x")
    file.chmod(0o666)
    with pytest.raises(StartError, match="chmod o-w"):
        KeysGate(str(file))


def test_without_a_file_both_ways_out_are_told():
    with pytest.raises(StartError, match=r"--keys-file.*slipstream key NAME.*--authentication none"):
        open_gate(ServingOptions("a", "v", "m"))


async def test_with_authentication_switched_off_everyone_is_the_same_caller():
    gate = open_gate(ServingOptions("a", "v", "m", authentication="none"))
    assert gate.known(None) is gate.known(b"Bearer x") is await gate.review(None) is ANONYMOUS


@pytest.mark.looptime
async def test_keys_rotate_without_a_restart(file):
    gate = KeysGate(str(file))
    await gate.review(bearer("key-a"))
    gate.start()
    replacement = file.with_suffix(".new")
    replacement.write_text(line("alice", "key-new"))
    os.replace(replacement, file)
    await asyncio.sleep(LOOK_SECONDS * 1.5)
    assert gate.known(bearer("key-a")) is None
    with pytest.raises(AuthenticationError):
        await gate.review(bearer("key-a"))
    assert await gate.review(bearer("key-new")) == Caller(b"key:alice")
    await gate.close()


async def test_a_broken_new_file_keeps_the_old_keys_and_is_logged_once(file, caplog):
    gate = KeysGate(str(file))
    file.write_text("garbage")
    for _ in range(3):
        gate.look()
    assert caplog.text.count("the keys read before stay in force") == 1
    assert await gate.review(bearer("key-a"))
    file.unlink()
    gate.look()
    assert caplog.text.count("stay in force") == 2
    file.write_text(line("carol", "key-c"))
    gate.look()
    assert await gate.review(bearer("key-c")) == Caller(b"key:carol")


def test_a_made_key_is_random_and_fits_its_line():
    key, text = make_key("alice")
    assert parse_keys(text) == {hashlib.sha256(key.encode()).digest(): Caller(b"key:alice")}
    assert make_key("alice")[0] != key
    assert len(key) >= 40


def test_the_command_shows_the_key_and_its_line_and_refuses_odd_names():
    command = [sys.executable, "-m", "slipstream_runtime.callers"]
    done = subprocess.run([*command, "alice"], capture_output=True, text=True, check=True)
    key = done.stdout.split("Bearer ")[1].split()[0]
    assert hashlib.sha256(key.encode()).digest() in parse_keys(done.stdout.splitlines()[-1])
    done = subprocess.run([*command, "al:ice"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "a name has" in done.stderr


class Reviewer:
    """An API server that answers when told to."""

    def __init__(self):
        self.asked = []
        self.error = None
        self.let = asyncio.Event()
        self.let.set()

    async def user(self, token):
        self.asked.append(token)
        await self.let.wait()
        if self.error:
            raise self.error
        return {"username": f"user of {token}"}

    async def permit(self, user):
        pass

    async def close(self):
        pass


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
async def reviewer():
    return Reviewer()


@pytest.fixture
async def reviewed(reviewer):
    clock = Clock()
    gate = TokenReviewGate(reviewer, clock)
    gate.now = clock
    yield gate
    await gate.close()


async def test_a_token_is_reviewed_once_for_all_who_bring_it_and_one_who_leaves_disturbs_nobody(reviewed, reviewer):
    reviewer.let.clear()
    tasks = [asyncio.create_task(reviewed.review(b"Bearer t")) for _ in range(5)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.sleep(0)
    reviewer.let.set()
    assert {await task for task in tasks[1:]} == {Caller(b"user:user of t")}
    assert reviewer.asked == ["t"]


async def test_a_refusal_is_remembered_for_seconds_only(reviewed, reviewer):
    reviewer.error = AuthenticationError("no")
    for _ in range(3):
        with pytest.raises(AuthenticationError):
            await reviewed.review(b"Bearer t")
    assert len(reviewer.asked) == 1
    reviewed.now.now += REFUSED_SECONDS
    reviewer.error = None
    assert await reviewed.review(b"Bearer t")


async def test_a_token_withdrawn_is_refused_at_its_next_review(reviewed, reviewer):
    await reviewed.review(b"Bearer t")
    reviewer.error = AuthenticationError("no")
    assert reviewed.known(b"Bearer t")
    reviewed.now.now += FRESH_SECONDS
    assert reviewed.known(b"Bearer t") is None
    with pytest.raises(AuthenticationError):
        await reviewed.review(b"Bearer t")
    reviewer.error = UnavailableError("away", 1)
    reviewed.now.now += REFUSED_SECONDS
    with pytest.raises(UnavailableError):
        await reviewed.review(b"Bearer t")


async def test_an_api_server_that_is_away_is_asked_ever_more_seldom(reviewed, reviewer):
    await reviewed.review(b"Bearer t")
    reviewer.error = UnavailableError("away", 1)
    for _ in range(600):
        reviewed.now.now += 1
        if reviewed.now.now < 1000 + STALE_SECONDS:
            assert await reviewed.review(b"Bearer t")
        with pytest.raises(UnavailableError):
            await reviewed.review(b"Bearer new")
    assert len(reviewer.asked) < 60
    with pytest.raises(UnavailableError):
        await reviewed.review(b"Bearer t")


@pytest.mark.looptime
async def test_when_the_api_server_hangs_known_callers_wait_half_a_second_at_most(reviewed, reviewer):
    await reviewed.review(b"Bearer t")
    reviewed.now.now += FRESH_SECONDS
    reviewer.let.clear()
    async with asyncio.timeout(0.6):
        assert await reviewed.review(b"Bearer t")


async def test_a_flood_of_made_up_tokens_is_cut_off(reviewed, reviewer):
    reviewer.let.clear()
    tasks = [asyncio.create_task(reviewed.review(b"Bearer %d" % i)) for i in range(3 * MAX_REVIEWS)]
    await asyncio.sleep(0.0)
    await asyncio.sleep(0.0)
    assert len(reviewer.asked) == MAX_REVIEWS
    reviewer.let.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(result, UnavailableError) for result in results) == 2 * MAX_REVIEWS


def test_the_life_of_a_token_is_what_it_says():
    assert lifetime(b"head.eyJleHAiOiAxMDB9.signature", 40.0) == 60.0
    assert lifetime(b"opaque", 40.0) == lifetime(b"a.b.c", 40.0) == float("inf")
