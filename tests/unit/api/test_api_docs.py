"""docs/api.md says what the CRD says."""

import runpy
from pathlib import Path

from slipstream_operator.api import schema

ROOT = Path(__file__).parents[3]


def test_the_page_is_what_the_crd_makes_of_it():
    page = runpy.run_path(str(ROOT / "hack" / "api_docs.py"))["page"]

    assert (ROOT / "docs" / "api.md").read_text() == page(schema.custom_resource_definition()), (
        "docs/api.md is not what the CRD says: run `python hack/api_docs.py` (or make api-docs)"
    )
