"""Archives like those of torch.export that no build may take, most of which would run code in a careless reader."""

import copy
import io
import json
import pickle
import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAMS: dict[str, tuple[Callable[[Path], bytes], str]] = {}
"""By name: what makes the bytes, given a path to create when run, and words of the refusal."""


@dataclass(frozen=True)
class Bomb:
    """Code in several disguises that creates the file `trap`."""

    trap: Path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trap,)

    def pickled(self, protocol: int = 4) -> bytes:
        """Return a pickle that runs it."""
        return pickle.dumps(self, protocol)

    def expression(self) -> str:
        """Return a Python expression that runs it."""
        return f"__import__('pathlib').Path({str(self.trap)!r}).touch()"


def document() -> dict[str, Any]:
    """Return the JSON of the program y = relu(x), as torch.export writes it."""
    tree = '[1, {"type": "builtins.tuple", "context": "null", "children_spec": []}]'
    tensor = {"dtype": 7, "sizes": [{"as_expr": {"expr_str": "s0", "hint": {"as_int": 2}}}, {"as_int": 16}]}
    node = {
        "target": "torch.ops.aten.relu.default",
        "inputs": [{"name": "self", "arg": {"as_tensor": {"name": "x"}}, "kind": 1}],
        "outputs": [{"as_tensor": {"name": "relu"}}],
        "metadata": {},
        "name": "relu",
    }
    graph = {
        "inputs": [{"as_tensor": {"name": "x"}}],
        "outputs": [{"as_tensor": {"name": "relu"}}],
        "nodes": [node],
        "tensor_values": {"x": tensor, "relu": copy.deepcopy(tensor)},
    }
    call = {"fqn": "", "signature": {"inputs": [], "outputs": [], "in_spec": tree, "out_spec": tree}}
    return {
        "graph_module": {"graph": graph, "signature": {}, "module_call_graph": [call], "metadata": {}},
        "opset_version": {"aten": 10},
        "range_constraints": {"s0": {"min_val": 0, "max_val": None}},
        "schema_version": {"major": 8, "minor": 20},
        "verifiers": ["TRAINING"],
        "guards_code": [],
    }


def members(program: Any = None, weights: dict[str, Any] | None = None) -> dict[str, bytes]:
    """Return the members of an archive that holds `program`."""
    return {
        "archive_format": b"pt2",
        "archive_version": b"0",
        "models/model.json": json.dumps(document() if program is None else program).encode(),
        "data/weights/model_weights_config.json": json.dumps({"config": weights or {}}).encode(),
        "data/constants/model_constants_config.json": b'{"config": {}}',
    }


def archived(content: dict[str, bytes], root: str = "m/", method: int = zipfile.ZIP_STORED) -> bytes:
    """Return the archive of `content`, with every name below `root`."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in content.items():
            archive.writestr(zipfile.ZipInfo(root + name), data, method)
    return file.getvalue()


def _bad(words: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Put what the decorated function makes into the corpus: the archive's bytes, or its program's JSON."""

    def register(make: Callable[..., Any]) -> Callable[..., Any]:
        def made(trap: Path) -> bytes:
            content = make(trap) if make.__code__.co_argcount else make()
            return content if isinstance(content, bytes) else archived(members(content))

        PROGRAMS[make.__name__] = (made, words)
        return make

    return register


def _weight(**changes: Any) -> dict[str, Any]:
    whole = {"strides": [{"as_int": 1}], "storage_offset": {"as_int": 0}}
    meta = {"dtype": 7, "sizes": [{"as_int": 4}], **whole, **changes.pop("meta", {})}
    return {"w": {"path_name": "weight_0", "is_param": True, "use_pickle": False, "tensor_meta": meta, **changes}}


@_bad("truncated")
def truncated_program() -> bytes:
    data = archived(members())
    return data[: len(data) // 2]


@_bad("damaged")
def program_with_a_flipped_bit() -> bytes:
    data = archived(members())
    return data.replace(b"aten.relu", b"aten.sqrt", 1)


@_bad("lies outside it")
def program_that_climbs_out() -> bytes:
    return archived(members() | {"../../tmp/evil": b"x"})


@_bad("lies outside it")
def program_at_an_absolute_path() -> bytes:
    return archived({"etc/passwd": b"x"}, root="/")


@_bad("compressed")
def compressed_program() -> bytes:
    return archived(members() | {"padding": random.Random(0).randbytes(4096)}, method=zipfile.ZIP_LZMA)


@_bad("unpacks to more")
def program_that_unpacks_to_gigabytes() -> bytes:
    return archived(members() | {"data/weights/weight_0": b"\0" * (64 << 20)}, method=zipfile.ZIP_DEFLATED)


@_bad("twice")
def program_with_a_member_twice() -> bytes:
    data = archived(members() | {"models/mode2.json": b"{}"})
    return data.replace(b"models/mode2.json", b"models/model.json")


@_bad("holds 2 programs")
def two_programs() -> bytes:
    return archived(members() | {"models/other.json": b"{}"})


@_bad("no torch.export program")
def archive_of_something_else() -> bytes:
    return archived({"readme.txt": b"hello"})


@_bad("old format")
def program_of_an_old_torch(trap: Path) -> bytes:
    return archived({"serialized_exported_program.json": b"{}", "serialized_state_dict.pt": Bomb(trap).pickled()}, "")


@_bad("pickled checkpoint")
def pickled_checkpoint(trap: Path) -> bytes:
    return archived({"data.pkl": Bomb(trap).pickled(), "version": b"3"})


@_bad("compiled code")
def compiled_library() -> bytes:
    return archived(members() | {"data/aotinductor/model/model.so": b"\x7fELF"})


@_bad("stored as a pickle")
def pickled_weight(trap: Path) -> bytes:
    content = members(weights=_weight(use_pickle=True))
    return archived(content | {"data/weights/weight_0": Bomb(trap).pickled()})


@_bad("has only 8 bytes")
def weight_that_is_too_short() -> bytes:
    return archived(
        members(weights=_weight(meta={"sizes": [{"as_int": 1 << 40}]})) | {"data/weights/weight_0": b"\0" * 8}
    )


@_bad("no data for 'w'")
def weight_that_is_missing() -> bytes:
    return archived(members(weights=_weight()))


@_bad("no data for 'w'")
def weight_in_another_folder() -> bytes:
    return archived(members(weights=_weight(path_name="../../archive_format")))


@_bad("negative size or stride")
def weight_that_begins_before_its_data() -> bytes:
    content = members(weights=_weight(meta={"storage_offset": {"as_int": -4}}))
    return archived(content | {"data/weights/weight_0": b"\0" * 16})


@_bad("is malformed")
def weight_without_a_shape() -> bytes:
    return archived(members(weights={"w": {"use_pickle": False}}))


@_bad("not JSON")
def program_that_is_not_json() -> bytes:
    return archived(members() | {"models/model.json": b"import os"})


@_bad("model: ")
def program_nested_without_end() -> bytes:
    return archived(members() | {"models/model.json": b'{"a":' * 50_000 + b"1" + b"}" * 50_000})


@_bad("as expr_str")
def code_in_a_size(trap: Path) -> Any:
    made = document()
    made["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][0]["as_expr"]["expr_str"] = Bomb(trap).expression()
    return made


@_bad("as expr_str")
def power_tower_in_a_size() -> Any:
    made = document()
    made["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][0]["as_expr"]["expr_str"] = "9**9**9**9"
    return made


@_bad("as name")
def code_in_a_name(trap: Path) -> Any:
    made = document()
    made["graph_module"]["graph"]["nodes"][0]["name"] = f"y; {Bomb(trap).expression()}"
    return made


@_bad("as a key")
def code_in_a_key(trap: Path) -> Any:
    made = document()
    made["range_constraints"][Bomb(trap).expression()] = {"min_val": 0, "max_val": 1}
    return made


def _calling(target: str) -> Any:
    made = document()
    made["graph_module"]["graph"]["nodes"][0]["target"] = target
    return made


@_bad("only torch's own operators")
def call_of_the_system() -> Any:
    return _calling("torch.os.system")


@_bad("only torch's own operators")
def call_of_a_custom_operator() -> Any:
    return _calling("torch.ops.evil.run.default")


@_bad("only torch's own operators")
def call_that_opens_a_file() -> Any:
    return _calling("torch.ops.aten.from_file.default")


@_bad("only torch's own operators")
def call_of_what_is_no_operator() -> Any:
    return _calling("torch.ops.aten.__init__.__globals__")


@_bad("only torch's own operators")
def operator_as_an_argument() -> Any:
    made = document()
    made["graph_module"]["graph"]["nodes"][0]["inputs"][0]["arg"] = {"as_operator": "torch.hub.load"}
    return made


def _taking(kind: str, context: Any) -> Any:
    made = document()
    leaf = {"type": None, "context": None, "children_spec": []}
    spec = [1, {"type": kind, "context": context, "children_spec": [leaf]}]
    made["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = json.dumps(spec)
    return made


@_bad("takes or returns a collections.defaultdict")
def container_that_imports_a_module() -> Any:
    context = {"default_factory_module": "antigravity", "default_factory_name": "fly", "dict_context": []}
    return _taking("collections.defaultdict", context)


@_bad("odd keys")
def key_that_imports_a_module() -> Any:
    return _taking("builtins.dict", json.dumps([{"__enum__": True, "fqn": "antigravity:fly", "name": "x"}]))


@_bad("custom class")
def object_of_a_custom_class() -> Any:
    made = document()
    made["graph_module"]["graph"]["inputs"] = [{"as_custom_obj": {"name": "x", "class_fqn": "evil.Evil"}}]
    return made


@_bad("of the dialect")
def unknown_dialect() -> Any:
    return document() | {"verifiers": ["EVIL"]}
