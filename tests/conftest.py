"""What holds for every test."""

import asyncio


def pytest_sessionstart() -> None:
    """Say that there is no event loop yet.

    pytest-asyncio asks for the present one before it makes its own; Python 3.11 would then make one that nobody
    closes, and its warning fails whatever test happens to run when it is collected.
    """
    asyncio.set_event_loop(None)
