"""Benchmarks: one command each, ratios against peers measured in one run."""

import os

# ONNX Runtime from 1.29 on reports its use and its models to its maker unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
