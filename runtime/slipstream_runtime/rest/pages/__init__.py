"""The pages beside the infer path: what is served, how it does, and how to call it."""
