import pytest

from slipstream_contract.errors import ContractError
from slipstream_contract.manifest import LatencyCurve
from slipstream_contract.summary import MAX_BYTES, BuildSummary, VariantSummary

CURVE = LatencyCurve(0.001, 0.0001, 0.0, ((1, 0.0011),))


def test_a_summary_survives_the_way_through_a_termination_message():
    summary = BuildSummary("Succeeded", "fine", "r" * 64, variants=(VariantSummary("int8", 10, CURVE),))

    assert BuildSummary.from_json(summary.to_json()) == summary


def test_a_long_message_is_cut_so_that_the_summary_fits_into_a_termination_message():
    summary = BuildSummary("Internal", "ö" * 10_000, "r" * 64)

    text = summary.to_json()

    assert len(text.encode()) <= MAX_BYTES
    assert BuildSummary.from_json(text).message.endswith("...")


def test_a_summary_too_long_without_its_message_is_refused():
    summary = BuildSummary("Succeeded", "", "r", variants=(VariantSummary("v" * MAX_BYTES, 1, CURVE),))

    with pytest.raises(ContractError, match="exceed"):
        summary.to_json()


def test_a_foreign_termination_message_is_refused():
    with pytest.raises(ContractError, match="build summary"):
        BuildSummary.from_json("Killed")
