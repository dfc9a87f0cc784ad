"""ONNX graphs as trainable torch modules, and the way back."""
