"""Mount with the system call itself, as mount(8) would resolve the links below /proc/self/fd that we bind from."""

import ctypes
import os

_LIBC = ctypes.CDLL(None, use_errno=True)
# From linux/mount.h.
_BIND, _RECURSIVE, _SHARED = 4096, 16384, 1 << 20


def mount_new(kind: str, target: str, options: str = "") -> None:
    """Mount a new file system of this kind; raises OSError."""
    _mount(kind, target, kind, 0, options)


def bind(source: str, target: str) -> None:
    """Show the source, with what is mounted below it, at the target too; raises OSError."""
    _mount(source, target, "none", _BIND | _RECURSIVE, "")


def make_shared(target: str) -> None:
    """Let later mounts below the target reach the containers that ask for them; raises OSError."""
    _mount("none", target, "none", _SHARED | _RECURSIVE, "")


def _mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    arguments = [ctypes.c_char_p(text.encode()) for text in (source, target, kind)]
    if _LIBC.mount(*arguments, ctypes.c_ulong(flags), ctypes.c_char_p(options.encode())) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), target)
