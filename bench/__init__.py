"""Benchmarks: one command each, ratios against peers measured in one run."""
