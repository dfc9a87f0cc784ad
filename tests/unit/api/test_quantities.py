import pytest

from slipstream_operator.api.quantities import amount, parse_bytes, parse_percentage, parse_processors


@pytest.mark.parametrize(("text", "value"), [("1%", 0.01), ("0.5%", 0.005), ("99.9%", 0.999), ("0%", 0.0)])
def test_a_percentage_becomes_a_share(text, value):
    assert parse_percentage(text) == value


@pytest.mark.parametrize(("text", "value"), [("64Mi", 64 * 2**20), ("5Gi", 5 * 2**30), ("1Ki", 1024), ("100", 100)])
def test_a_quantity_becomes_bytes(text, value):
    assert parse_bytes(text) == value


@pytest.mark.parametrize(("text", "value"), [("2", 2.0), ("500m", 0.5), ("1.5", 1.5)])
def test_a_quantity_becomes_processors(text, value):
    assert parse_processors(text) == value


@pytest.mark.parametrize("text", ["", "lots", "2GB", "1 Gi", "-1"])
def test_what_is_no_quantity_has_no_amount(text):
    assert amount(text) is None
