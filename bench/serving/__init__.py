"""Measures the runtime against other servers from PyPI: `python -m bench.serving --help`."""
