"""Brings files in from paths, volume claims, the web and object stores, and refuses what no build may reach."""
