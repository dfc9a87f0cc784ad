"""Which candidates to try, trying them, and which to keep."""
