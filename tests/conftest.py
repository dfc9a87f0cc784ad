"""What holds for every test."""

import asyncio
import os

# Tests import ONNX Runtime by themselves too; it reports to its maker unless this is set before.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def pytest_sessionstart() -> None:
    """Say that there is no event loop yet.

    pytest-asyncio asks for the present one before it makes its own; Python 3.11 would then make one that nobody
    closes, and its warning fails whatever test happens to run when it is collected.
    """
    asyncio.set_event_loop(None)
