"""The report of a build and of a load run: one self-contained HTML page."""
