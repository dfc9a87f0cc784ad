"""What both benchmarks use: folders, memory, the machine, the page with the tables."""
