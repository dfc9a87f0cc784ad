"""Faults between operator and API server: a proxy that strikes, operators that can be killed, lives to compare."""
