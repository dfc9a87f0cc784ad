"""A run that takes far too long is ended, its caller told, and the session goes on."""

import threading

import numpy as np
import pytest

from slipstream_runtime.errors import StuckError
from slipstream_runtime.model.padded import PaddedRuns
from slipstream_runtime.model.session import Session
from slipstream_runtime.model.watchdog import Watchdog
from slipstream_runtime.protocol.signature import Signature
from slipstream_testing.artifacts import slow

ENDLESS = np.full((1, 1), 10**12, dtype=np.int64)
SHORT = np.full((1, 1), 5, dtype=np.int64)


def session():
    model = slow()
    return Session(model.proto.SerializeToString(), Signature(model.inputs, model.outputs), 1, "model.onnx")


def padded(plain):
    model = slow()
    plain._runs = PaddedRuns(plain._runs._call.__self__, Signature(model.inputs, model.outputs), 4)
    plain._call = plain._runs.run
    return plain


@pytest.mark.parametrize("kind", [lambda found: found, padded], ids=["plain", "padded"])
def test_an_endless_run_is_ended_and_the_next_one_answers(kind):
    endless = kind(session())
    watchdog = Watchdog(limit_seconds=0.2)
    watchdog.watch(endless)
    try:
        with pytest.raises(StuckError, match="took too long"):
            endless.run((ENDLESS,))
        assert endless.running_seconds == 0.0
        (found,) = endless.run((SHORT,))
        assert found.ravel().tolist() == [5]
    finally:
        watchdog.close()


def test_a_session_no_longer_watched_is_left_alone():
    first, second = session(), session()
    watchdog = Watchdog(limit_seconds=0.1)
    watchdog.watch(first)
    watchdog.watch(second)
    ended = threading.Event()

    def run():
        with pytest.raises(StuckError):
            first.run((ENDLESS,))
        ended.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        with pytest.raises(StuckError):
            second.run((ENDLESS,))
        assert not ended.is_set()
        assert first.running_seconds > 0
    finally:
        first.stop()
        thread.join(timeout=10)
        watchdog.close()
    assert ended.is_set()


def test_an_error_of_the_model_is_not_taken_for_a_stop():
    with pytest.raises(Exception, match="Unexpected input data type"):
        session().run((np.zeros((1, 1), dtype=np.float32),))
