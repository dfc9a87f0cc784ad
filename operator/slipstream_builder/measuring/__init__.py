"""Latency, costs and what holds a model back."""
