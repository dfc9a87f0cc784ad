"""Reads the protocol's reserved parameters; unknown ones are ignored, as the protocol asks. Pure."""

from collections.abc import Iterable, Mapping

from slipstream_runtime.errors import BadRequestError, UnsupportedError
from slipstream_runtime.protocol.signature import Signature

Parameter = bool | int | float | str | None
Parameters = Mapping[str, Parameter]

SEQUENCE = ("sequence_id", "sequence_start", "sequence_end")
SHARED_MEMORY = "shared_memory_region"
CLASSIFICATION = "classification"
LARGEST = 2**63 - 1
LONGEST_ID = 1024
"""Characters of a request's `id`, which is echoed; a longer one only serves to make answers large."""


def check_id(text: str | None) -> None:
    """Raise BadRequestError when the request's `id` is too long to be echoed."""
    if text is not None and len(text) > LONGEST_ID:
        raise BadRequestError(f"id: longer than {LONGEST_ID} characters; send a shorter one")


def read_timeout(parameters: Parameters) -> float | None:
    """Return the reserved parameter `timeout`, microseconds on the wire, in seconds.

    Raises:
        BadRequestError: it is not a positive whole number.
    """
    timeout = parameters.get("timeout")
    if timeout is None:
        return None
    if not isinstance(timeout, int) or isinstance(timeout, bool) or not 0 < timeout <= LARGEST:
        raise BadRequestError("parameters: timeout must be a positive whole number of microseconds")
    return timeout / 1e6


def read_priority(parameters: Parameters) -> int:
    """Return the reserved parameter `priority`; 0 is the default level, 1 the most urgent.

    Raises:
        BadRequestError: it is not a whole number of at least 0.
    """
    priority = parameters.get("priority")
    if priority is None:
        return 0
    if not isinstance(priority, int) or isinstance(priority, bool) or not 0 <= priority <= LARGEST:
        raise BadRequestError("parameters: priority must be a whole number, 0 or more")
    return priority


def refuse_sequences(parameters: Parameters) -> None:
    """Raise UnsupportedError for a request of a stateful sequence; zero, false and "" mean none."""
    for name in SEQUENCE:
        if parameters.get(name):
            raise UnsupportedError(f"parameters: {name} is not supported; the model keeps no state between requests")


def refuse_shared_memory(what: str, parameters: Parameters) -> None:
    """Raise UnsupportedError for a tensor that would be read from or written to shared memory."""
    if SHARED_MEMORY in parameters:
        raise UnsupportedError(f"{what}: {SHARED_MEMORY} is not supported; send the tensor in the request")


def binary_by_default(parameters: Parameters) -> bool:
    """Return the parameter `binary_data_output`: whether outputs go out as binary tensors.

    Raises:
        BadRequestError: it is neither true nor false.
    """
    return _flag("parameters: binary_data_output", parameters.get("binary_data_output"), default=False)


def choose_outputs(
    signature: Signature, asked: Iterable[tuple[str, Parameters | None]], *, binary: bool
) -> tuple[tuple[int, bool], ...]:
    """Return which outputs were asked for by name, and whether each goes out binary; `binary` where it does not say.

    Raises:
        BadRequestError: one is unknown or asked for twice.
        UnsupportedError: one asks for classification or shared memory.
    """
    chosen: dict[int, bool] = {}
    for name, parameters in asked:
        index = signature.output_index.get(name)
        if index is None:
            known = ", ".join(spec.name for spec in signature.outputs)
            raise BadRequestError(f"output {name[:80]!r}: unknown; the model gives {known}")
        if index in chosen:  # repeats would let a small request ask for a huge answer
            raise BadRequestError(f"output {name!r}: asked for twice")
        chosen[index] = binary if parameters is None else _as_binary(f"output {name!r}", parameters, default=binary)
    return tuple(chosen.items())


def _as_binary(what: str, parameters: Parameters, *, default: bool) -> bool:
    if parameters.get(CLASSIFICATION):
        raise UnsupportedError(f"{what}: {CLASSIFICATION} is not supported; ask for the scores and rank them")
    refuse_shared_memory(what, parameters)
    return _flag(f"{what}: binary_data", parameters.get("binary_data"), default=default)


def _flag(what: str, value: Parameter, *, default: bool) -> bool:
    if value is None:
        return default
    if not isinstance(value, bool):
        raise BadRequestError(f"{what} must be true or false")
    return value
