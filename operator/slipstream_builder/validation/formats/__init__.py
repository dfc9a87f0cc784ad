"""Readers of data sets, one a file format; each gives plain arrays by name, and refuses everything else in words."""
