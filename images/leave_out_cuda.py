"""Lets torch start without the four gigabytes of CUDA libraries it links with, in an image that has no use for them.

PyPI's torch for x86-64 comes with CUDA only. The dynamic linker refuses to load it while a library that it names is
missing, or a function of theirs whose address torch keeps in a table. So each missing library gets an empty one of its
name beside torch, and all of these lead to one that names the functions. None is ever called: without a GPU torch asks
the CUDA runtime, which is small and real, and is told that there is no device.

Runs while the image is built, with the image's Python; fails if torch cannot compute afterwards.
"""

import importlib.util
import struct
import subprocess
import sys
from pathlib import Path

_LIBRARIES = ("libcu", "libnccl", "libnv")
_FUNCTIONS = (
    "cuFile", "cublas", "cudnn", "cufft", "cupti", "cusolver", "cusparse", "nccl", "nvJitLink", "nvrtc", "nvshmem",
)  # fmt: skip
_NAMES = "libcuda_left_out.so"
_CHECK = """
import torch
rows = torch.ones(3, 4)
torch.export.export(torch.nn.Linear(4, 2), (rows,)).module()(rows).sum().backward()
"""

# The ELF format of 64-bit little-endian machines; the fields are named in elf(5).
_HEADER, _PROGRAM, _SECTION = (
    struct.Struct("<16sHHIQQQIHHHHHH"),
    struct.Struct("<IIQQQQQQ"),
    struct.Struct("<IIQQQQIIQQ"),
)
_DYNAMIC, _SYMBOL = struct.Struct("<qQ"), struct.Struct("<IBBHQQ")
_DYNAMIC_SECTION, _SYMBOLS_SECTION = 6, 11
_NEEDED, _HASH, _STRINGS, _SYMBOLS, _STRINGS_SIZE, _SYMBOL_SIZE, _SONAME, _RUNPATH = 1, 4, 5, 6, 10, 11, 14, 29
_GLOBAL_FUNCTION, _SOME_SECTION, _PAGE = 0x12, 1, 4096


def main() -> None:
    """Put empty libraries where torch's own are missing, and see that it works."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return
    folder = Path(found.origin).parent / "lib"
    present = {path.name for path in folder.parents[1].glob("**/*.so*")}
    libraries = [Library(path.read_bytes()) for path in sorted(folder.glob("lib*.so"))]
    missing = {name for library in libraries for name in library.needs() if name.startswith(_LIBRARIES)} - present
    functions = {name for library in libraries for name in library.undefined() if name.startswith(_FUNCTIONS)}
    machine = libraries[0].machine
    for name in missing:
        (folder / name).write_bytes(shared_object(name, machine, needs=_NAMES))
    (folder / _NAMES).write_bytes(shared_object(_NAMES, machine, functions=sorted(functions)))
    subprocess.run([sys.executable, "-c", _CHECK], check=True)


class Library:
    """What a shared library asks others for."""

    def __init__(self, content: bytes) -> None:
        """Find the sections by the table at the file's end."""
        header = _HEADER.unpack_from(content)
        table, count = header[6], header[12]
        self.machine: int = header[2]
        self._content = content
        self._sections = [_SECTION.unpack_from(content, table + number * _SECTION.size) for number in range(count)]

    def needs(self) -> set[str]:
        """The libraries that are loaded with it."""
        entries, names = self._table(_DYNAMIC_SECTION, _DYNAMIC)
        return {self._text(names + value) for tag, value in entries if tag == _NEEDED}

    def undefined(self) -> set[str]:
        """The symbols that others define for it."""
        entries, names = self._table(_SYMBOLS_SECTION, _SYMBOL)
        return {self._text(names + name) for name, _info, _other, section, _value, _size in entries if section == 0}

    def _table(self, kind: int, entry: struct.Struct) -> tuple[list[tuple[int, ...]], int]:
        """The entries of the one section of this kind, and where the names it uses start."""
        (section,) = [section for section in self._sections if section[1] == kind]
        start, size, link = section[4], section[5], section[6]
        return list(entry.iter_unpack(self._content[start : start + size])), self._sections[link][4]

    def _text(self, start: int) -> str:
        return self._content[start : self._content.index(b"\0", start)].decode()


def shared_object(name: str, machine: int, *, needs: str = "", functions: list[str] | None = None) -> bytes:
    """A library of this name that holds no code: what it needs, and functions that must never be called."""
    texts = [name, "$ORIGIN", needs, *(functions or [])]
    strings, places = b"\0", []
    for text in texts:
        places.append(len(strings))
        strings += text.encode() + b"\0"
    symbols = len(functions or []) + 1
    hashes = struct.pack(f"<{3 + symbols}I", 1, symbols, min(1, symbols - 1), *_chain(symbols))
    dynamic = _HEADER.size + 2 * _PROGRAM.size
    entries = {_SONAME: places[0], _RUNPATH: places[1], **({_NEEDED: places[2]} if needs else {})}
    hash_table = dynamic + (len(entries) + 6) * _DYNAMIC.size
    symbol_table = (hash_table + len(hashes) + 7) // 8 * 8
    text_table = symbol_table + symbols * _SYMBOL.size
    entries |= {_HASH: hash_table, _STRINGS: text_table, _SYMBOLS: symbol_table}
    entries |= {_STRINGS_SIZE: len(strings), _SYMBOL_SIZE: _SYMBOL.size, 0: 0}
    defined = b"".join(_SYMBOL.pack(place, _GLOBAL_FUNCTION, 0, _SOME_SECTION, dynamic, 0) for place in places[3:])
    body = b"".join(_DYNAMIC.pack(*entry) for entry in entries.items()) + hashes
    body = body.ljust(symbol_table - dynamic, b"\0") + bytes(_SYMBOL.size) + defined + strings
    return _headers(machine, dynamic, len(entries) * _DYNAMIC.size, dynamic + len(body)) + body


def _chain(symbols: int) -> list[int]:
    """A hash table's one chain through all symbols: each names the next, and zero ends it."""
    return [0, *range(2, symbols), 0][:symbols]


def _headers(machine: int, dynamic: int, dynamic_size: int, size: int) -> bytes:
    identity, shared, readable_writable = b"\x7fELF\x02\x01\x01", 3, 6
    start = (_HEADER.size, 0, 0, _HEADER.size, _PROGRAM.size, 2, 0, 0, 0)
    header = _HEADER.pack(identity, shared, machine, 1, 0, *start)
    everything = _PROGRAM.pack(1, readable_writable, 0, 0, 0, size, size, _PAGE)
    pointers = _PROGRAM.pack(2, readable_writable, dynamic, dynamic, dynamic, dynamic_size, dynamic_size, 8)
    return header + everything + pointers


if __name__ == "__main__":
    main()
