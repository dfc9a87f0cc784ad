"""Training-free compression: fewer bits for weights, and for activations where that is faster."""
