"""HTTP: connections, the infer path, the pages behind it."""
