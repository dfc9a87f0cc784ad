"""Forms batches, runs them, and gives every request its own rows back."""
