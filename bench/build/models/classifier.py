"""A convolutional classifier of handwritten digits, trained here on scikit-learn's own set.

The set holds 1,797 digits of 43 people's forms in 8 x 8 pixels, enlarged to 32 x 32 as camera pictures of digits are.
Half trains (the network meets them turned, shifted and scaled), half decides. The network is three blocks of two
3 x 3 convolutions with batch normalisation, 32, 64 and 128 channels: 288,000 parameters.
"""

import math
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.nn import functional

from bench.build.models.export import export
from bench.build.models.store import MODEL_FILE, UNLABELLED_FILE, VALIDATION_FILE, BenchError

SOURCES = (Path(__file__), Path(__file__).with_name("export.py"))
SIDE = 32
CHANNELS = (32, 64, 128)
TRAINING_ITEMS = 896
EPOCHS = 24
BATCH = 64
RATE = 3e-3
THREADS = 1
LEAST_ACCURACY = 0.98


def make(folder: Path) -> None:
    """Train the classifier into `folder`: one to three minutes.

    Raises:
        BenchError: it came out less accurate than it should.
    """
    torch.manual_seed(0)
    torch.set_num_threads(THREADS)
    images, labels = _digits()
    training, deciding = slice(0, TRAINING_ITEMS), slice(TRAINING_ITEMS, None)
    model = train(network(), images[training], labels[training])
    accuracy = _accuracy(model, images[deciding], labels[deciding])
    print(f"classifier: accuracy {accuracy:.4f} on {len(labels[deciding])} digits", flush=True)
    if accuracy < LEAST_ACCURACY:
        raise BenchError(f"classifier: accuracy {accuracy:.4f} is below {LEAST_ACCURACY}; training went wrong")
    export(model, {"image": images[:2]}, "scores", {0: "batch"}, folder / MODEL_FILE)
    decided, free = images[deciding].numpy(), images[training].numpy()
    np.savez_compressed(folder / VALIDATION_FILE, image=decided, labels=labels[deciding].numpy())
    np.savez_compressed(folder / UNLABELLED_FILE, image=free)


def network() -> nn.Sequential:
    """Return the untrained network: images float32 [batch, 1, 32, 32] of 0 to 1 to scores float32 [batch, 10]."""
    layers: list[nn.Module] = []
    for before, after in zip((1, *CHANNELS), CHANNELS, strict=False):
        layers += [*_convolution(before, after), *_convolution(after, after), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS[-1], 10))


def train(model: nn.Sequential, images: Tensor, labels: Tensor) -> nn.Sequential:
    """Return `model`, trained with AdamW under a one-cycle schedule, with a line of progress now and then."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.05)
    steps = EPOCHS * math.ceil(len(images) / BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    model.train()
    for epoch in range(1, EPOCHS + 1):
        total = 0.0
        for part in torch.split(torch.randperm(len(images)), BATCH):
            loss = functional.cross_entropy(model(_moved(images[part])), labels[part], label_smoothing=0.05)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) * len(part)
        if epoch % 6 == 0:
            print(f"classifier: epoch {epoch}/{EPOCHS}  loss {total / len(images):.3f}", flush=True)
    return model.eval()


def _digits() -> tuple[Tensor, Tensor]:
    """Return all images, float32 [1797, 1, 32, 32] of 0 to 1, and their labels, in a fixed random order."""
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    small = torch.from_numpy((digits.images[order] / 16.0).astype(np.float32))[:, None]
    images = functional.interpolate(small, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    return images, torch.from_numpy(digits.target[order].astype(np.int64))


def _convolution(before: int, after: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()


def _moved(images: Tensor) -> Tensor:
    """Return the images turned by up to 12 degrees, scaled by up to 10 % and shifted by up to 2 pixels."""
    angle, scale, across, down = torch.rand(4, len(images)) * 2 - 1
    angle, scale = angle * math.radians(12), 1 + scale * 0.1
    rows = (scale * torch.cos(angle), -scale * torch.sin(angle), across * 4 / SIDE)
    more = (scale * torch.sin(angle), scale * torch.cos(angle), down * 4 / SIDE)
    turn = torch.stack([torch.stack(rows, dim=1), torch.stack(more, dim=1)], dim=1)
    grid = functional.affine_grid(turn, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def _accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        return float((model(images).argmax(dim=1) == labels).float().mean())
