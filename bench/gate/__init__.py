"""Whether the accuracy gate keeps its word, over thousands of synthetic candidates whose true loss is known."""
