"""The soak judges a replica's memory over its last requests, from when its pools are full."""

import os

import pytest
from bench.soak import memory
from bench.soak.memory import LEVEL_REQUESTS, WINDOW_REQUESTS, Memory, own_bytes

STEP = 50_000


@pytest.fixture
def judged(monkeypatch):
    """Return a judge of one replica that holds what `held(requests it has answered)` says."""

    def judge(held, requests):
        found = Memory([1])
        for answered in range(0, requests + 1, STEP):
            monkeypatch.setattr(memory, "own_bytes", lambda _, answered=answered: held(answered))
            found.sample(answered)
        return found

    return judge


def test_what_fills_the_pools_at_first_is_no_growth(judged):
    found = judged(lambda answered: min(answered, LEVEL_REQUESTS), LEVEL_REQUESTS + WINDOW_REQUESTS)
    assert found.growth == 0
    assert found.requests == WINDOW_REQUESTS


def test_a_leak_of_a_byte_in_ten_requests_is_found(judged):
    found = judged(lambda answered: 40_000_000 + answered // 10, 10_000_000)
    assert found.growth > 0.01


def test_only_the_last_requests_of_a_long_run_count(judged):
    found = judged(lambda answered: 40_000_000 if answered < 4_000_000 else 50_000_000, 10_000_000)
    assert found.growth == 0


def test_a_short_run_is_not_judged(judged):
    assert judged(lambda answered: answered, LEVEL_REQUESTS + 5 * STEP).growth is None


def test_a_process_holds_memory_of_its_own_until_it_has_ended():
    assert own_bytes(os.getpid()) > 1 << 20
    assert own_bytes(2**22 + 1) == 0
