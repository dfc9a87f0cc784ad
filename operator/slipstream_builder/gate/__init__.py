"""What a candidate must pass before it may serve: accuracy, benefit, isolation."""
