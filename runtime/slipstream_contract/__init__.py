"""What the operator, the builder and the runtime agree on: standard library only, imported by all three."""
