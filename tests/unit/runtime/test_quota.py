"""What a replica may use is read from its affinity and its control groups, of either version."""

import os

import pytest

from slipstream_runtime.model.quota import memory_bytes, processors


def tree(root, files):
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


V1 = "4:memory:/pods/a\n2:cpu,cpuacct:/pods/a\n"
QUOTAS = {
    "version 2": ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "250000 100000\n"}, 2.5),
    "version 2 without a limit": ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "max 100000"}, 8.0),
    "an ancestor's limit": (
        {
            "proc/self/cgroup": "0::/pods/a",
            "sys/fs/cgroup/pods/a/cpu.max": "max 100000",
            "sys/fs/cgroup/pods/cpu.max": "150000 50000",
        },
        3.0,
    ),
    "outside the namespace": ({"proc/self/cgroup": "0::/../b", "sys/fs/cgroup/cpu.max": "100000 100000"}, 1.0),
    "version 1": (
        {
            "proc/self/cgroup": V1,
            "sys/fs/cgroup/cpu/pods/a/cpu.cfs_quota_us": "50000",
            "sys/fs/cgroup/cpu/pods/a/cpu.cfs_period_us": "100000",
        },
        0.5,
    ),
    "version 1 without a limit": (
        {
            "proc/self/cgroup": V1,
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        },
        8.0,
    ),
    "no control groups": ({}, 8.0),
}


@pytest.mark.parametrize(("files", "expected"), QUOTAS.values(), ids=QUOTAS)
def test_the_quota_is_a_number_of_processors(tmp_path, files, expected):
    assert processors(tree(tmp_path, files), affinity=8) == expected


def test_the_affinity_is_the_process_s_own(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 2, 5}, raising=False)
    assert processors(tmp_path) == 3.0


def test_where_there_is_no_affinity_all_processors_count(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert processors(tmp_path) == 6.0


def test_the_affinity_bounds_the_quota(tmp_path):
    files = {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "400000 100000"}
    assert processors(tree(tmp_path, files), affinity=2) == 2.0


@pytest.mark.parametrize(
    "files",
    [
        {"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "123456789\n"},
        {"proc/self/cgroup": V1, "sys/fs/cgroup/memory/pods/memory.limit_in_bytes": "123456789"},
    ],
)
def test_the_memory_limit_is_read(tmp_path, files):
    assert memory_bytes(tree(tmp_path, files)) == 123456789


def test_without_a_limit_the_memory_is_the_machine_s(tmp_path):
    free = tree(tmp_path, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "max"})
    assert memory_bytes(free) == memory_bytes(tmp_path / "nothing") > 2**28
