"""The few calls of the CUDA runtime library that ONNX Runtime's Python interface lacks."""

import ctypes
import logging
import weakref
from typing import Any

from slipstream_runtime.protocol.signature import Array

logger = logging.getLogger(__name__)

CAPABILITY_MAJOR, CAPABILITY_MINOR = 75, 76
"""cudaDevAttrComputeCapabilityMajor and ...Minor of the CUDA runtime's enumeration cudaDeviceAttr."""


class CudaError(Exception):
    """A call of the CUDA runtime failed; the message holds its number."""


class CudaRuntime:
    """Device 0 as libcudart shows it; `library` is the loaded library."""

    def __init__(self, library: Any) -> None:
        self._library = library

    def free_bytes(self) -> int:
        """Return the device's free memory.

        Raises:
            CudaError: there is no device, or no driver for it.
        """
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._call("cudaMemGetInfo", ctypes.byref(free), ctypes.byref(total))
        return free.value

    def capability(self) -> str:
        """Return the compute capability, such as 9.0.

        Raises:
            CudaError: there is no device, or no driver for it.
        """
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._call("cudaDeviceGetAttribute", ctypes.byref(major), CAPABILITY_MAJOR, 0)
        self._call("cudaDeviceGetAttribute", ctypes.byref(minor), CAPABILITY_MINOR, 0)
        return f"{major.value}.{minor.value}"

    def pin(self, array: Array) -> None:
        """Lock the array's pages while it lives, so that the device copies from them without a staging buffer.

        Where the system allows no more locked memory the copies are slower and otherwise the same.
        """
        address = ctypes.c_void_p(array.ctypes.data)
        try:
            self._call("cudaHostRegister", address, ctypes.c_size_t(array.nbytes), 0)
        except CudaError as error:
            logger.warning("an input buffer of %d bytes is not pinned (%s); copies are slower", array.nbytes, error)
            return
        # Runs before the array's memory is freed; at exit the driver unlocks everything itself.
        weakref.finalize(array, self._library.cudaHostUnregister, address).atexit = False

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status:
            raise CudaError(f"{name} failed with CUDA error {status}")


def load(majors: tuple[int, ...] = (13, 12)) -> CudaRuntime | None:
    """Return the CUDA runtime library, the one ONNX Runtime has loaded before any other, or None without one."""
    for major in majors:
        try:
            return CudaRuntime(ctypes.CDLL(f"libcudart.so.{major}"))
        except OSError:
            continue
    return None
