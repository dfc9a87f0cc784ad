"""Model-to-model steps: graph optimisation, quantisation, structured pruning recovered by distillation."""
