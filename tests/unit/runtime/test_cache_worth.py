"""A level of the cache goes when it costs more than it saves, and comes back when traffic repeats."""

import numpy as np
import pytest

from slipstream_runtime.caching.keys import body_sample, tensors_sample
from slipstream_runtime.caching.saving import WholeRequest
from slipstream_runtime.caching.worth import PATIENCE, PROBE, SAMPLE, WINDOW, Worth
from slipstream_runtime.observing.telemetry import Telemetry


class Level:
    """A level in virtual time: 10 us a look-up, 5 us to keep an answer, 100 us saved by a hit; it forgets nothing."""

    def __init__(self, saved=100e-6):
        self.saved = saved
        self.switches = []
        self.kept = set()
        self.seconds = 0.0
        self.worth = Worth(lambda: self.saved, lambda worth: self.switches.append(worth.active))

    def request(self, content):
        if not (self.worth.active or self.worth.sampled(body_sample(b"%d" % content))):
            return
        self.seconds += 10e-6
        self.worth.look.add(10e-6)
        hit = content in self.kept
        if not hit:
            self.kept.add(content)
            self.worth.keep.add(5e-6)
            self.seconds += 5e-6
        self.worth.looked(hit=hit)


def test_traffic_that_repeats_keeps_it_on():
    level = Level()
    random = np.random.default_rng(1)
    for content in random.zipf(1.3, 50_000):
        level.request(int(content))
    assert level.switches == []


def test_traffic_that_never_repeats_switches_it_off_and_then_costs_next_to_nothing():
    level = Level()
    for content in range(WINDOW * PATIENCE):
        level.request(content)
    assert level.switches == [False]
    before = level.seconds
    for content in range(10**6, 10**6 + 200_000):
        level.request(content)
    assert level.switches == [False]
    assert (level.seconds - before) / (200_000 * 15e-6) < 2 / SAMPLE


def test_one_bad_window_is_forgiven():
    level = Level()
    for content in range(WINDOW):
        level.request(content)
    for content in range(WINDOW):
        level.request(content)
    assert level.switches == []


def test_it_comes_back_when_traffic_repeats():
    level = Level()
    for content in range(WINDOW * PATIENCE):
        level.request(content)
    assert not level.worth.active
    random = np.random.default_rng(2)
    for content in random.integers(10**6, 10**6 + 2000, 6 * SAMPLE * PROBE):
        level.request(int(content))
    assert level.worth.active
    assert level.switches == [False, True]


def test_hits_that_save_less_than_looking_switch_it_off_though_most_requests_hit():
    level = Level(saved=8e-6)
    for content in range(3 * WINDOW):
        level.request(content % 100)
    assert not level.worth.active
    assert "saves" in level.worth.reason


def test_nothing_is_judged_before_it_is_known_what_a_hit_saves():
    level = Level(saved=None)
    for content in range(5 * WINDOW):
        level.request(content)
    assert level.switches == []


def test_the_sample_is_the_same_for_the_same_request_and_about_its_share_of_all():
    chosen = [number for number in range(20_000) if body_sample(b'{"x": [%d, 1.5]}' % number) % SAMPLE == 0]
    assert len(chosen) == pytest.approx(20_000 / SAMPLE, rel=0.3)
    tensors = (np.arange(100, dtype=np.float32).reshape(1, -1), np.array([["a", "b"]], object))
    assert tensors_sample(tensors) == tensors_sample(tuple(tensor.copy() for tensor in tensors))


def test_a_hit_saves_the_share_of_the_batch_and_the_decoding_and_encoding():
    telemetry = Telemetry(0.1)
    saved = WholeRequest(telemetry)
    assert saved() is None
    for _ in range(10):
        telemetry.decode.observe(2e-6)
        telemetry.queue.observe(0.001)
        telemetry.encode.observe(3e-6)
    telemetry.computed(10, 100e-6, 10)
    assert saved() == pytest.approx(15e-6)
    assert saved() == pytest.approx(15e-6)
