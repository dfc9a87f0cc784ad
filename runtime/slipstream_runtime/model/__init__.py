"""The verified variant and the session that runs it."""
