"""Model files that no build may take: each a maker of its bytes, and what its refusal must say.

A file that tries to run code creates the path it is given as `trap`, so a test can tell whether it succeeded.
"""

from slipstream_testing.bad_models import elsewhere, files, graphs, hungry, operators, shapes, tensors
from slipstream_testing.bad_models.registry import BadModel, corpus

KINDS = (files, elsewhere, operators, tensors, graphs, shapes, hungry)
"""Modules that put their files into the corpus."""

__all__ = ["KINDS", "BadModel", "corpus"]
