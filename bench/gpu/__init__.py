"""`python -m bench.gpu`: what bound buffers, CUDA graphs and TensorRT bring over plain onnxruntime-gpu."""
