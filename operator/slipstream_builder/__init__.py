"""Builds an artifact from a recipe: analyse, compress, prove on the validation set, measure, package."""

import os

# ONNX Runtime from 1.29 on reports its use and its models to its maker unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
