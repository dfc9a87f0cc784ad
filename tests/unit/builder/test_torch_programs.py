"""torch.export programs become ONNX that answers as they do, and nothing in them is ever unpickled or run as Python."""

import io
import json
import zipfile

import numpy as np
import pytest
import torch

from slipstream_builder import sessions
from slipstream_builder.errors import SourceError
from slipstream_builder.fetching.fetch import Fetched
from slipstream_builder.sources import confinement, loading
from slipstream_builder.sources.agreement import difference, tolerance
from slipstream_testing.bad_programs import Bomb
from slipstream_testing.inspector import Inspector


@pytest.fixture(scope="module")
def inspector():
    started = Inspector("slipstream_builder.sources.torch_program", "torch.onnx._internal.exporter._torchlib.ops")
    yield started
    started.close()


@pytest.fixture
def load(inspector, monkeypatch):
    monkeypatch.setattr(confinement, "_run", inspector.run)
    return lambda data: loading.load(Fetched(data, "digest"), threads=1)


class Perceptron(torch.nn.Module):
    """Two layers that share a weight, a buffer, a constant, and a view of a parameter."""

    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)
        self.second.weight = self.first.weight
        self.register_buffer("shift", torch.ones(16)[::2])
        self.scale = torch.tensor([1.5])

    def forward(self, x):
        return self.second(torch.relu(self.first(x)) + self.shift) * self.scale + torch.arange(8)


class Convolution(torch.nn.Module):
    """A classifier of little images, with normalisation and the batch size in a view."""

    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.MaxPool2d(2)
        )
        self.head = torch.nn.Linear(36, 3)

    def forward(self, image):
        features = self.body(image)
        return self.head(features.view(features.shape[0], -1))


class Encoder(torch.nn.Module):
    """Attention over tokens, with keyword inputs and named outputs."""

    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(50, 8)
        self.attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, input_ids, attention_mask):
        hidden = self.table(input_ids)
        hidden, _ = self.attention(hidden, hidden, hidden, key_padding_mask=attention_mask == 0, need_weights=False)
        weights = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return {"sentence": (hidden * weights).sum(1) / weights.sum(1), "words": hidden}


def exported(module, args=(), kwargs=None, dynamic=None):
    torch.manual_seed(0)
    return torch.export.export(module.eval(), args, kwargs, dynamic_shapes=dynamic)


def saved(program):
    file = io.BytesIO()
    torch.export.save(program, file)
    return file.getvalue()


BATCH = {0: torch.export.Dim("batch")}


@pytest.fixture(scope="module")
def perceptron():
    return saved(exported(Perceptron(), (torch.randn(2, 8),), dynamic=(BATCH,)))


def served(loaded, rows):
    return sessions.run(sessions.open_session(loaded.proto.SerializeToString(), 1), rows)


def test_a_program_with_a_dynamic_batch_answers_as_its_onnx(load, perceptron):
    loaded = load(perceptron)
    rows = loading.synthetic_rows(loaded.inputs, 5, seed=1)
    original = torch.export.load(io.BytesIO(perceptron)).module()

    expected = original(torch.from_numpy(rows["x"])).detach().numpy()

    np.testing.assert_allclose(served(loaded, rows)[0], expected, rtol=1e-4, atol=1e-4)
    assert 0 <= loaded.agreement < 1e-5
    assert "answers as it does" in loaded.notes[0]
    assert loaded.inputs[0].shape == (-1, 8)


@pytest.mark.parametrize("batch", [1, 4])
def test_a_program_of_a_fixed_batch_is_freed(batch, load):
    program = exported(Convolution(), (torch.randn(batch, 1, 8, 8),))
    loaded = load(saved(program))
    rows = loading.synthetic_rows(loaded.inputs, 6, seed=2)

    answers = served(loaded, rows)[0]

    assert any("its batch axis was freed" in note for note in loaded.notes)
    for place in range(6):
        row = np.repeat(rows["image"][place : place + 1], batch, axis=0)
        np.testing.assert_allclose(
            answers[place], program.module()(torch.from_numpy(row))[0].detach().numpy(), atol=1e-4
        )


def test_a_program_with_several_inputs_and_outputs_and_free_tokens_is_taken(load):
    free = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", min=2, max=64)}
    ids = torch.randint(0, 50, (3, 7))
    program = exported(
        Encoder(), (ids,), {"attention_mask": torch.ones_like(ids)}, {"input_ids": free, "attention_mask": free}
    )

    loaded = load(saved(program))

    assert [spec.name for spec in loaded.inputs] == ["input_ids", "attention_mask"]
    assert [spec.shape for spec in loaded.inputs] == [(-1, -1), (-1, -1)]
    assert [spec.shape for spec in loaded.outputs] == [(-1, 8), (-1, -1, 8)]
    assert loaded.agreement < 1e-5


def changed(data, change):
    """Return the archive with its members, by name below the root, passed through `change`."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        root = archive.namelist()[0].split("/")[0]
        members = {name.removeprefix(f"{root}/"): archive.read(name) for name in archive.namelist()}
    change(members)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{root}/{name}", content)
    return file.getvalue()


def test_hostile_parts_that_are_not_needed_are_never_opened(load, perceptron, tmp_path):
    bomb = Bomb(tmp_path / "trap")

    def change(members):
        members["data/sample_inputs/model.pt"] = bomb.pickled()
        members["extra/evil.pkl"] = bomb.pickled()
        program = json.loads(members["models/model.json"])
        program["guards_code"] = [bomb.expression()]
        program["graph_module"]["metadata"] = {"custom": bomb.expression()}
        for node in program["graph_module"]["graph"]["nodes"]:
            node["metadata"] = {"nn_module_stack": bomb.expression(), "source_fn_stack": f"x,{bomb.expression()}"}
        members["models/model.json"] = json.dumps(program).encode()

    loaded = load(changed(perceptron, change))

    assert loaded.agreement < 1e-5
    assert not bomb.trap.exists()


def test_torch_itself_would_have_run_it(perceptron, tmp_path):
    """What the test above guards against is real: torch's own reader opens the sample inputs as a pickle."""
    bomb = Bomb(tmp_path / "trap")
    file = io.BytesIO()
    torch.save(bomb, file)
    data = changed(perceptron, lambda members: members.update({"data/sample_inputs/model.pt": file.getvalue()}))

    with pytest.raises(AssertionError):
        torch.export.load(io.BytesIO(data))

    assert bomb.trap.exists()


class Scaled(torch.nn.Module):
    """Takes a plain number beside the tensor."""

    def forward(self, x, k):
        return x * k


class Mean(torch.nn.Module):
    """Mixes the rows of a batch."""

    def forward(self, x):
        return x - x.mean(0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(
            lambda: exported(Scaled(), (torch.randn(2, 4), 3), dynamic=(BATCH, None)), "not a tensor", id="number"
        ),
        pytest.param(
            lambda: exported(torch.nn.ReLU(), (torch.randn(2, 4).bfloat16(),), dynamic=(BATCH,)),
            "is bfloat16; only tensors of numbers",
            id="bfloat16",
        ),
        pytest.param(
            lambda: exported(Mean(), (torch.randn(2, 4),), dynamic=(BATCH,)), "could not share a batch", id="mixed rows"
        ),
        pytest.param(lambda: exported(torch.nn.ReLU(), (torch.tensor(1.0),)), "is a scalar", id="scalar"),
        pytest.param(
            lambda: exported(torch.nn.Unflatten(0, (2, 2)), (torch.randn(4, 3),)), "dynamic", id="batch folded"
        ),
    ],
)
def test_a_program_that_cannot_be_served_is_refused(make, words, load):
    with pytest.raises(SourceError) as refused:
        load(saved(make()))

    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_program_of_another_schema_is_refused_with_the_version_to_save_it_with(load, perceptron):
    def change(members):
        program = json.loads(members["models/model.json"])
        program["schema_version"]["major"] = 99
        members["models/model.json"] = json.dumps(program).encode()

    with pytest.raises(SourceError, match="save it again with that version"):
        load(changed(perceptron, change))


def test_the_difference_is_relative_to_the_largest_number_and_infinite_where_the_kinds_differ():
    base = np.array([[100.0, -1.0]], np.float32)

    assert difference([base], [base + np.float32(0.5)]) == pytest.approx(0.005)
    assert difference([base], [base]) == 0
    assert difference([base], [base[:, :1]]) == float("inf")
    assert difference([base], [np.array([[np.nan, -1.0]])]) == float("inf")
    assert difference([np.array([1, 2, 3, 4])], [np.array([1, 2, 3, 5])]) == 0.25
    assert difference([base], [base, base]) == float("inf")
    assert tolerance([base]) < tolerance([base.astype(np.float16)])
