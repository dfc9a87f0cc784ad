"""Brings the model and the data in, and refuses what is not safe to touch."""
