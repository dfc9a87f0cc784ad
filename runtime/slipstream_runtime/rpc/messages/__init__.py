"""Code that `python hack/messages.py` generates from open_inference.proto; do not edit it."""
