"""Which channels of a converted model can go, and their removal.

torch-pruning's dependency graph (Fang et al., arXiv 2301.12900) finds what must shrink together. Where its reading of
a graph is wrong (a reshape to fixed sizes, say), it would break the model; so each group is first
tried on a copy, and groups that do not survive the trial are left alone. Outputs never change their shape.
"""

import gc
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn

from slipstream_builder.techniques.conversion.interpreter import Interpreter
from slipstream_builder.techniques.training.heads import Attention
from slipstream_builder.techniques.training.importance import Gradients
from slipstream_builder.techniques.training.schedule import kept_channels

PRUNABLE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Channels:
    """The channel groups of `network`, each known by the position of its first layer among the prunable layers.

    `examples` are a few rows of every input, to trace with.
    """

    def __init__(self, network: Interpreter, examples: Sequence[Tensor]) -> None:
        self._layers = [module for module in network.modules() if isinstance(module, PRUNABLE)]
        self._graph = torch_pruning.DependencyGraph()
        self._graph.build_dependency(
            network,
            tuple(examples),
            unwrapped_parameters=[(parameter, _channel_axis(parameter)) for parameter in network.loose.values()],
            verbose=False,
        )
        self._initial = {position: layer.weight.shape[0] for position, layer in enumerate(self._layers)}

    def roots(self, apart: AbstractSet[nn.Module] = frozenset()) -> list[int]:
        """Return the position of the first layer of every group the dependency graph finds.

        Groups with a layer of those kept `apart` are left out.
        """
        groups = self._graph.get_all_groups(root_module_types=PRUNABLE)
        whole = [group for group in groups if not _partly_grouped(group) and not _members(group) & apart]
        return [self._layers.index(group[0].dep.target.module) for group in whole]

    def removed(self, root: int, fraction: float, gradients: Gradients) -> int:
        """Remove a group's least important channels until `fraction` of the first count is gone; return how many.

        The count that stays is rounded to what the hardware likes.
        """
        surplus = self._layers[root].weight.shape[0] - kept_channels(self._initial[root], fraction)
        if surplus <= 0:
            return 0
        weakest = torch.argsort(self._scores(root, gradients), stable=True)[:surplus].tolist()
        self._group(root, sorted(weakest)).prune()
        return surplus

    def _scores(self, root: int, gradients: Gradients) -> Tensor:
        """Return the cost [channels] of closing all readers' gates of a channel at once; magnitude where none reads."""
        layer = self._layers[root]
        width = layer.weight.shape[0]
        total: Tensor | None = None
        for dep, positions in self._group(root, None):
            reader = dep.target.module
            if (
                reader not in gradients
                or not self._graph.is_in_channel_pruning_fn(dep.handler)
                or len(positions) % width
            ):
                continue
            gates = gradients[reader][:, positions].reshape(-1, width, len(positions) // width).sum(2)
            total = gates if total is None or len(total) != len(gates) else total + gates
        return layer.weight.detach().flatten(1).norm(dim=1) if total is None else total.square().mean(0)

    def _group(self, root: int, channels: list[int] | None) -> Any:
        layer = self._layers[root]
        pruner = self._graph.get_pruner_of_module(layer)
        picked = list(range(layer.weight.shape[0])) if channels is None else channels
        return self._graph.get_pruning_group(layer, pruner.prune_out_channels, picked)


def prunable_roots(
    convert: Callable[[], Interpreter], examples: Sequence[Tensor], attentions: Sequence[Attention]
) -> list[int]:
    """Return the groups whose pruning leaves a model that runs and whose outputs keep their shape.

    `convert` gives a fresh copy of the model for each trial. The projections of `attentions` and what is added to them
    stay whole: their channels are heads, or the stream that all layers write to.
    """
    network = convert()
    with torch.no_grad():
        shapes = [output.shape for output in network(*examples)]
    apart = {layer for attention in attentions for layer in attention.layers(network)}
    roots = Channels(network, examples).roots(apart)
    del network
    found = []
    for root in roots:
        gc.collect()  # a dependency graph holds its network in cycles: without this, one copy a trial would pile up
        if _survives(convert(), root, examples, shapes):
            found.append(root)
    gc.collect()
    return found


def _survives(network: Interpreter, root: int, examples: Sequence[Tensor], shapes: list[torch.Size]) -> bool:
    try:
        if not Channels(network, examples).removed(root, 0.5, {}):
            return False
        network.weights()
        with torch.no_grad():
            return [output.shape for output in network(*examples)] == shapes
    except Exception:  # noqa: BLE001 - the library and torch fail in many ways on a graph they cannot shrink
        return False


def _partly_grouped(group: Any) -> bool:
    """A convolution in several groups that is not depthwise would need the same number from each; leave it alone."""
    return any(1 < getattr(module, "groups", 1) < getattr(module, "out_channels", 1) for module in _members(group))


def _members(group: Any) -> set[nn.Module]:
    return {dep.target.module for dep, _ in group}


def _channel_axis(parameter: Tensor) -> int:
    wide = [axis for axis, size in enumerate(parameter.shape) if size > 1]
    return wide[-1]
