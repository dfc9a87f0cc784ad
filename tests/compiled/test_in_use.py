"""These tests, and those of the runtime that run beside them, are of compiled modules."""

import importlib
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "hack"))

from compiled import HOT, PACKAGE


@pytest.mark.parametrize("name", HOT)
def test_a_hot_module_is_compiled(name):
    module = importlib.import_module(f"{PACKAGE}.{name.replace('/', '.')}")

    assert module.__file__ is not None
    assert module.__file__.endswith(".so")
