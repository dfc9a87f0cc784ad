"""Makes the gate that the options ask for."""

from slipstream_contract.serving import ServingOptions
from slipstream_runtime.callers.gate import Gate, OpenGate
from slipstream_runtime.callers.keys import KeysGate
from slipstream_runtime.callers.tokens import TokenReviewGate


def open_gate(options: ServingOptions) -> Gate:
    """Return the gate; `start` it on the loop that serves.

    Raises:
        StartError: what it needs is missing; the message says what to do.
    """
    if options.authentication == "none":
        return OpenGate()
    if options.authentication == "token-review":
        from slipstream_runtime.callers.api_server import ApiServer  # noqa: PLC0415  # aiohttp: 20 MiB, only where used

        return TokenReviewGate(ApiServer(options.model))
    return KeysGate(options.keys_file)
