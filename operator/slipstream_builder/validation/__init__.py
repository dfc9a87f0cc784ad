"""What decides the gate: the held-out items and the metric."""
