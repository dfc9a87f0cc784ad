"""Puts the report together."""


def render(report: object, load: object) -> str:
    """Return the report as HTML."""
    return f"<!doctype html><title>{report} {load}</title>"
