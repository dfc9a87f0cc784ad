"""The recommender: a denoising autoencoder over watch histories with a multinomial likelihood.

Mult-DAE of Liang et al. (arXiv 1802.05814): normalise the history, drop a part of it, encode, decode to one score a
film. At inference nothing is dropped.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

DROPOUT = 0.5
SMALLEST_NORM = 1e-6


class Recommender(nn.Module):
    """Histories float32 [batch, items] of 0 and 1 to scores float32 [batch, items]."""

    def __init__(self, items: int, hidden: int) -> None:
        super().__init__()
        self.encoder = nn.Linear(items, hidden)
        self.decoder = nn.Linear(hidden, items)

    def forward(self, history: Tensor) -> Tensor:
        """Return the scores; an empty history gets the scores of nobody in particular."""
        length = torch.sqrt(torch.sum(history * history, dim=1, keepdim=True))
        unit = history / torch.clamp(length, min=SMALLEST_NORM)
        unit = functional.dropout(unit, DROPOUT, self.training)
        scores: Tensor = self.decoder(torch.tanh(self.encoder(unit)))
        return scores


def loss(scores: Tensor, history: Tensor) -> Tensor:
    """Return the multinomial negative log-likelihood of the whole history, the mean over users."""
    return -(functional.log_softmax(scores, dim=1) * history).sum(dim=1).mean()
