"""Builds an artifact from a recipe: analyse, compress, prove on the validation set, measure, package."""
