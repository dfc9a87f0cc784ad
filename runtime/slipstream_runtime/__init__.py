"""Serves one variant of an artifact: decode, admit, cache, batch, session, encode.

Pure modules (`errors`, `signature`, `tensors`, `decoding`, `encoding`, `curve`, `policy`, `deadline_queue`,
`execution`, `lru`, `telemetry`) know no event loop, socket or session; the others put them to work.
"""

import os

# ONNX Runtime from 1.29 on reports its use and its models to its maker unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
