"""`python -m bench.build`: the builder against peers, on three real models."""
