"""Acting on a plan with Kubernetes objects: what `slipstream operator` runs."""
