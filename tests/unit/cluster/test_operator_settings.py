import argparse

import pytest

from slipstream_operator.cluster.copies import key_of
from slipstream_operator.cluster.health import Health
from slipstream_operator.cluster.settings import add_arguments, from_arguments
from slipstream_operator.cluster.watching import watch_settings


def settings(*arguments, **environment):
    parser = argparse.ArgumentParser()
    add_arguments(parser, environment)
    return from_arguments(parser.parse_args(arguments))


def test_flags_go_before_the_environment_and_that_before_defaults():
    assert settings().runtime_image.startswith("slipstream-runtime:")
    assert settings(SLIPSTREAM_IMAGE_RUNTIME="env:1").runtime_image == "env:1"
    assert settings("--image-runtime=flag:1", SLIPSTREAM_IMAGE_RUNTIME="env:1").runtime_image == "flag:1"


def test_namespaces_come_from_flags_or_a_list():
    assert settings("--namespace=b", "--namespace=a").namespaces == ("a", "b")
    assert settings(SLIPSTREAM_NAMESPACES="x,y").namespaces == ("x", "y")
    assert settings("--namespace=a", SLIPSTREAM_NAMESPACES="x,y").namespaces == ("a",)


def test_the_fast_profile_looks_less_far_back():
    assert settings("--scaling-profile=fast").tuning.window_seconds < settings().tuning.window_seconds
    with pytest.raises(SystemExit):
        settings("--scaling-profile=warp")


def test_kopf_leaves_no_traces_and_waits_for_nothing_forever():
    own = watch_settings(settings("--namespace=a"))

    assert own.scanning.disabled is True
    assert own.posting.enabled is False
    assert own.networking.request_timeout == 15
    assert sum(own.networking.error_backoffs) >= 240
    assert "slipstream.dev" in own.persistence.finalizer


def test_a_child_names_the_key_it_belongs_to():
    assert key_of({"metadata": {"namespace": "shop", "labels": {"app.kubernetes.io/instance": "a"}}}) == ("shop", "a")
    assert key_of({"metadata": {"namespace": "shop"}}) is None


def test_a_quiet_watch_is_healthy_and_a_stuck_queue_is_not():
    def health(**ages):
        return Health(**{"leading": True, "resync_age_seconds": 30, "queue_age_seconds": 0, "watch_age_seconds": 60,
                         "watch_restarts": 2, "loop_lag_seconds": 0.1, **ages})  # fmt: skip

    assert health().problems() == ()
    assert health(queue_age_seconds=400).problems() == ("a key has waited for its turn for 400 s",)
    assert health(watch_age_seconds=9000).problems() == ("a watch has stood still for 9000 s",)
