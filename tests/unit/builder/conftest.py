import json

import pytest

from slipstream_builder.__main__ import main
from slipstream_testing.onnx_models import write_case


@pytest.fixture
def case(tmp_path):
    """A folder with a model, data sets and the recipe document for them."""
    return tmp_path, write_case(tmp_path)


@pytest.fixture
def build(case):
    """Run the build command on the case's recipe in this process; return the exit code."""
    folder, recipe = case

    def run(*extra):
        path = folder / "recipe.json"
        path.write_text(json.dumps(recipe))
        return main(["build", "--recipe", str(path), "--store", str(folder / "store"), *extra])

    return run
