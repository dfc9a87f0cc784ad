"""Train a film recommender on MovieLens-100K, and write what Slipstream needs to deploy it.

    python examples/recommender/train.py [--out DIR] [--small] [--force]

Writes recommender.onnx (input `history`, output `scores`), validation.npz (histories, held-out labels, films to
ignore) and unlabelled.npz (parts of the histories, no labels). Does nothing when they are there and belong together.
"""

import argparse
import hashlib
import json
import logging
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import data
import metric
import numpy as np
import torch
from network import Recommender, loss

MODEL_FILE = "recommender.onnx"
VALIDATION_FILE = "validation.npz"
UNLABELLED_FILE = "unlabelled.npz"
RECORD_FILE = "record.json"
SOURCES = ("data.py", "metric.py", "network.py", "train.py")
OPSET = 18
KEPT_UNLABELLED = 0.8


@dataclass(frozen=True)
class Settings:
    """What a training run depends on besides the code; `threads` because sums depend on their order."""

    hidden: int
    epochs: int
    seed: int
    batch: int = 128
    rate: float = 1e-3
    threads: int = 2


def main() -> int:
    """Train unless the outputs are there; return the exit code."""
    arguments = _arguments()
    if arguments.small:
        settings = Settings(hidden=192, epochs=12, seed=arguments.seed, rate=3e-3, threads=1)
    else:
        settings = Settings(hidden=1024, epochs=40, seed=arguments.seed)
    if not arguments.force and is_current(arguments.out, settings):
        print(f"recommender: {arguments.out} is current; --force trains again")
        return 0
    try:
        split = data.split(data.interactions(data.fetch()), settings.seed)
    except data.DataError as error:
        print(f"recommender: {error}", file=sys.stderr)
        return 1
    arguments.out.mkdir(parents=True, exist_ok=True)
    model = train(split, settings)
    export(model, split.history, arguments.out / MODEL_FILE)
    write_arrays(split, settings.seed, arguments.out)
    write_record(arguments.out, settings)
    return 0


def train(split: data.Split, settings: Settings) -> Recommender:
    """Return a trained recommender, with a line of progress every few seconds and the baseline to beat."""
    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    model = Recommender(split.history.shape[1], settings.hidden)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"recommender: {parameters:,} parameters, {len(split.history)} users, {split.history.shape[1]} films")
    popularity = np.broadcast_to(split.history.sum(axis=0), split.history.shape)
    print(f"recommender: ndcg@10 of recommending what is popular {metric.ndcg(popularity, *_pair(split)):.4f}")
    started = time.monotonic()
    for epoch, value in enumerate(_epochs(model, torch.from_numpy(split.history), settings), start=1):
        if epoch % 5 == 0 or epoch == settings.epochs:
            seconds = time.monotonic() - started
            print(f"recommender: epoch {epoch}/{settings.epochs}  loss {value:.1f}  {seconds:.0f} s", flush=True)
    model.eval()
    with torch.no_grad():
        scores = model(torch.from_numpy(split.history)).numpy()
    print(f"recommender: ndcg@10 of the model {metric.ndcg(scores, *_pair(split)):.4f}")
    return model


def export(model: Recommender, history: data.Matrix, path: Path) -> None:
    """Write `model` as one ONNX file with a dynamic batch axis."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of packages that nothing here needs
    program = torch.onnx.export(
        model,
        (torch.from_numpy(history[:2]),),
        dynamo=True,
        opset_version=OPSET,
        input_names=["history"],
        output_names=["scores"],
        dynamic_shapes={"history": {0: torch.export.Dim("batch")}},
        verbose=False,
    )
    if program is None:
        raise RuntimeError("torch gave no ONNX program")
    program.save(path, external_data=False)


def write_arrays(split: data.Split, seed: int, folder: Path) -> None:
    """Write the validation set and the unlabelled inputs.

    The unlabelled rows are random parts of the histories: neither a validation input nor a held-out film is in them.
    """
    np.savez_compressed(
        folder / VALIDATION_FILE,
        history=split.history,
        labels=data.padded_ids(split.held_out),
        ignore=data.padded_ids(split.history),
    )
    kept = np.random.default_rng(seed + 1).random(split.history.shape) < KEPT_UNLABELLED
    np.savez_compressed(folder / UNLABELLED_FILE, history=split.history * kept)


def write_record(folder: Path, settings: Settings) -> None:
    """Write what the outputs came from, last: a run that was cut short leaves none that fits."""
    outputs = {name: _digest(folder / name) for name in (MODEL_FILE, VALIDATION_FILE, UNLABELLED_FILE)}
    (folder / RECORD_FILE).write_text(json.dumps({"inputs": _inputs(settings), "outputs": outputs}, indent=2) + "\n")


def is_current(folder: Path, settings: Settings) -> bool:
    """Say whether `folder` holds the outputs of this code, this data set and these settings."""
    try:
        record = json.loads((folder / RECORD_FILE).read_text())
        outputs = record["outputs"]
        return bool(record["inputs"] == _inputs(settings)) and all(_digest(folder / n) == outputs[n] for n in outputs)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _epochs(model: Recommender, history: torch.Tensor, settings: Settings) -> Iterator[float]:
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.rate)
    batches = -(-len(history) // settings.batch)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.epochs * batches)
    model.train()
    for _ in range(settings.epochs):
        total = 0.0
        for users in torch.split(torch.randperm(len(history)), settings.batch):
            value = loss(model(history[users]), history[users])
            optimiser.zero_grad()
            torch.autograd.backward(value)
            optimiser.step()
            falling.step()
            total += float(value.detach()) * len(users)
        yield total / len(history)


def _pair(split: data.Split) -> tuple[data.Matrix, data.Matrix]:
    return split.history, split.held_out


def _inputs(settings: Settings) -> dict[str, object]:
    here = Path(__file__).parent
    return {
        "data": data.SHA256,
        "settings": asdict(settings),
        "code": {name: _digest(here / name) for name in SOURCES},
    }


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a film recommender on MovieLens-100K.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "model", help="folder for the outputs")
    parser.add_argument("--small", action="store_true", help="a smaller model, trained for a few seconds")
    parser.add_argument("--force", action="store_true", help="train even when the outputs are current")
    parser.add_argument("--seed", type=int, default=0, help="of the split, the weights and the order of the batches")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
