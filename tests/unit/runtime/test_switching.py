"""A replica changes its variant while it is under load: no request fails, and each answer is its variant's own."""

import asyncio
import os

import aiohttp
import numpy as np
import onnxruntime as ort
import pytest

from slipstream_testing.artifacts import mlp, write_variants
from slipstream_testing.replicas import replica

MODELS = {"large": mlp(hidden=64, seed=1), "small": mlp(hidden=4, seed=2)}
ROWS = np.random.default_rng(5).normal(size=(40, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def variants(tmp_path_factory):
    folder = tmp_path_factory.mktemp("variants")
    write_variants(folder, MODELS)
    return folder


@pytest.fixture(scope="module")
def expected():
    """Return what each variant says to each row, asked without a replica."""
    answers = {}
    for name, model in MODELS.items():
        session = ort.InferenceSession(model.proto.SerializeToString(), providers=["CPUExecutionProvider"])
        answers[name] = session.run(None, {"features": ROWS})[0]
    return answers


class Projected:
    """A file in a volume as Kubernetes projects it: a link to a folder that is itself a link, turned at once."""

    def __init__(self, folder, name):
        self._folder = folder
        self._count = 0
        self._turn(name)
        (folder / "variant").symlink_to("..data/variant")
        self.path = folder / "variant"

    def write(self, name):
        self._turn(name)

    def _turn(self, name):
        self._count += 1
        version = self._folder / f"..{self._count}"
        version.mkdir()
        (version / "variant").write_text(f"{name}\n")
        (self._folder / "..next").symlink_to(version.name)
        os.replace(self._folder / "..next", self._folder / "..data")


async def ask(session, url, row, seen, expected):
    async with session.post(f"{url}/predict", json={"features": [ROWS[row].tolist()]}) as answer:
        assert answer.status == 200
        variant = answer.headers["slipstream-variant"]
        scores = np.array((await answer.json())["scores"], np.float32)
    assert np.allclose(scores[0], expected[variant][row], rtol=1e-5, atol=1e-6)
    other = expected["small" if variant == "large" else "large"][row]
    assert not np.allclose(scores[0], other, rtol=1e-2, atol=1e-2)
    seen.append(variant)


@pytest.mark.parametrize("processes", [1, 2])
async def test_no_request_fails_while_the_variant_changes_and_each_says_whose_answer_it_is(
    variants, expected, tmp_path, processes
):
    file = Projected(tmp_path, "large")
    options = {"variant": "large", "variant_file": file.path, "processes": processes, "cache_bytes": 100_000}
    with replica(variants, **options) as running:
        seen = Seen()
        over = asyncio.Event()

        async def caller(number):
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
                row = number
                while not over.is_set():
                    row = (row + 7) % len(ROWS)
                    await ask(session, running.url, row, seen, expected)

        async with asyncio.TaskGroup() as group:
            for number in range(12):
                group.create_task(caller(number))
            await seen.until(lambda: len(seen) > 100)
            assert set(seen) == {"large"}
            file.write("small")
            await seen.until(lambda: len(seen) > 100 and set(seen[-100:]) == {"small"})
            file.write("large")
            await seen.until(lambda: set(seen[-100:]) == {"large"})
            over.set()
        async with aiohttp.ClientSession() as session, session.get(f"{running.metrics_url}/metrics") as answer:
            text = await answer.text()
        assert f'slipstream_answers_total{{variant="small"}} {seen.count("small")}' in text
        assert text.count("slipstream_info{") == 1
        assert 'variant="large"} 1' in text.split("slipstream_info{")[1]


class Seen(list):
    """The variants that answered, in order; tells of each as it comes."""

    def __init__(self):
        super().__init__()
        self._more = asyncio.Event()

    def append(self, variant):
        super().append(variant)
        self._more.set()

    async def until(self, condition):
        async with asyncio.timeout(20):
            while not condition():
                self._more.clear()
                await self._more.wait()


async def test_a_name_that_is_none_of_the_variants_changes_nothing(variants, expected, tmp_path):
    file = tmp_path / "variant"
    file.write_text("huge")
    with replica(variants, variant="large", variant_file=file) as running:
        line = await asyncio.to_thread(running.process.stderr.readline)
        assert "no variant 'huge'; this replica has large, small; serving on with large" in line
        async with aiohttp.ClientSession() as session:
            seen = Seen()
            await ask(session, running.url, 0, seen, expected)
            assert seen == ["large"]
