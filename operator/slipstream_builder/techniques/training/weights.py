"""Which single weights are gone: masks over the matrices and kernels of a network, by magnitude."""

import torch
from torch import Tensor, nn

from slipstream_builder.techniques.conversion.interpreter import Interpreter

MASKED = (nn.Linear, nn.Embedding, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Masks:
    """Masks over all weights of `network` but its vectors; what is masked is exactly 0."""

    def __init__(self, network: Interpreter) -> None:
        modules = [module for module in network.modules() if isinstance(module, MASKED)]
        self._weights = list({id(module.weight): module.weight for module in modules}.values())
        self._kept: list[Tensor] = [torch.ones_like(weight, dtype=torch.bool) for weight in self._weights]

    def __len__(self) -> int:
        return sum(weight.numel() for weight in self._weights)

    def tighten(self, fraction: float) -> None:
        """Mask the `fraction` (0 to 1) of each layer's weights that is smallest in magnitude; what is gone stays."""
        for position, weight in enumerate(self._weights):
            magnitude = weight.detach().abs()
            gone = int(fraction * weight.numel())
            if gone:
                threshold = magnitude.flatten().kthvalue(gone).values
                self._kept[position] &= magnitude > threshold
        self.enforce()

    def enforce(self) -> None:
        """Set what is masked to 0 again."""
        with torch.no_grad():
            for weight, kept in zip(self._weights, self._kept, strict=True):
                weight.mul_(kept)
