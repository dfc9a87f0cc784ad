"""Techniques that train: pruning on a schedule, with distillation from the source model."""
