"""The three models, each made from real data as a user would have it: ONNX, validation set, unlabelled inputs."""
