"""What a torch.export archive holds, read and vetted before torch sees any of it."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from slipstream_builder.errors import SourceError
from slipstream_builder.sources import program
from slipstream_builder.sources.archive import Archive

_WEIGHTS, _CONSTANTS = "data/weights", "data/constants"


@dataclass(frozen=True)
class Entry:
    """Where a tensor's bytes are, and how they are laid out: sizes, strides and offset in elements."""

    member: str
    is_parameter: bool
    scalar_type: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int

    @property
    def elements(self) -> int:
        """How many elements of storage the layout reaches; 0 for an empty tensor."""
        if 0 in self.sizes:
            return 0
        return 1 + self.offset + sum((size - 1) * stride for size, stride in zip(self.sizes, self.strides, strict=True))


@dataclass(frozen=True)
class Stored:
    """The program's vetted JSON, and its tensors by name."""

    document: dict[str, Any]
    weights: dict[str, Entry]
    constants: dict[str, Entry]


def read(opened: Archive) -> Stored:
    """Return the one program that the archive holds.

    Raises:
        SourceError: there is not exactly one, a tensor of it is a pickle or malformed, or its text is not honest.
    """
    names = sorted(name for name in opened.names if name.startswith("models/") and name.endswith(".json"))
    if len(names) != 1:
        raise SourceError(f"model: the archive holds {len(names)} programs; save exactly one with torch.export.save")
    name = names[0].removeprefix("models/").removesuffix(".json")
    return Stored(
        program.vetted(opened.json(names[0])),
        _entries(opened, _WEIGHTS, f"{name}_weights_config.json"),
        _entries(opened, _CONSTANTS, f"{name}_constants_config.json"),
    )


def _entries(opened: Archive, folder: str, config: str) -> dict[str, Entry]:
    document = opened.json(f"{folder}/{config}")
    try:
        return {name: _entry(opened, folder, name, entry) for name, entry in document["config"].items()}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SourceError(f"model: {folder}/{config} in the archive is malformed; export it again") from error


def _entry(opened: Archive, folder: str, name: str, document: dict[str, Any]) -> Entry:
    if document["use_pickle"]:
        raise SourceError(
            f"model: {name[:60]!r} is stored as a pickle, which is never opened; export plain tensors only "
            "(no tensor subclasses, no custom objects)"
        )
    member = f"{folder}/{PurePosixPath(document['path_name']).name}"
    if member not in opened.names:
        raise SourceError(f"model: the archive has no data for {name[:60]!r}; copy the file again")
    meta = document["tensor_meta"]
    sizes, strides = (tuple(int(size["as_int"]) for size in meta[key]) for key in ("sizes", "strides"))
    offset = int(meta["storage_offset"]["as_int"])
    if min([*sizes, *strides, offset]) < 0 or len(sizes) != len(strides):
        raise SourceError(f"model: tensor {name[:60]!r} has a negative size or stride; export it again")
    entry = Entry(member, bool(document["is_param"]), int(meta["dtype"]), sizes, strides, offset)
    if entry.elements > opened.size(member) * 8:
        raise SourceError(
            f"model: tensor {name[:60]!r} of shape {list(sizes)[:8]} has only {opened.size(member)} bytes of data; "
            "copy or export it again"
        )
    return entry
