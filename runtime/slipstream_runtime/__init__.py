"""Serves one variant of an artifact: decode, admit, cache, batch, session, encode.

Pure modules (`errors`, `signature`, `tensors`, `decoding`, `encoding`, `curve`, `policy`, `deadline_queue`,
`execution`, `lru`, `telemetry`) know no event loop, socket or session; the others put them to work.
"""
