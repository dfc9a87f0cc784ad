"""The Open Inference Protocol's words: what a model takes and gives, and their bytes."""
