"""Model files that no build may take: each a maker of its bytes, and what its refusal must say.

A file that tries to run code creates the path it is given as `trap`, so a test can tell whether it succeeded.
"""

import gzip
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from slipstream_testing.bad_programs import PROGRAMS, Bomb
from slipstream_testing.onnx_models import mlp, model

CORPUS: dict[str, tuple[Callable[[Path], bytes], str]] = dict(PROGRAMS)
"""By name: what makes the bytes, and words of the refusal."""


@dataclass(frozen=True)
class BadModel:
    """One bad file."""

    name: str
    make: Callable[[Path], bytes]
    words: str


def corpus() -> list[BadModel]:
    """Return every bad file."""
    return [BadModel(name, make, words) for name, (make, words) in CORPUS.items()]


def _bad(words: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Put what the decorated function makes (bytes, or an ONNX model) into the corpus."""

    def register(make: Callable[..., Any]) -> Callable[..., Any]:
        def made(trap: Path) -> bytes:
            content = make(trap) if make.__code__.co_argcount else make()
            return content if isinstance(content, bytes) else content.SerializeToString()

        CORPUS[make.__name__] = (made, words)
        return make

    return register


def _network(*nodes: onnx.NodeProto, weights: dict[str, Any] | None = None, opset: int = 17) -> onnx.ModelProto:
    return model(list(nodes), {"x": ["N", 16]}, {"y": ["N", 16]}, weights, opset)


def _relu(source: str = "x", target: str = "y", **more: Any) -> onnx.NodeProto:
    return helper.make_node("Relu", [source], [target], **more)


def _external(name: str = "w") -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    return tensor


def _sparse(tensor: TensorProto) -> onnx.SparseTensorProto:
    return onnx.SparseTensorProto(values=tensor, indices=helper.make_tensor("i", TensorProto.INT64, [1], [0]), dims=[1])


def _with_weight(tensor: TensorProto) -> onnx.ModelProto:
    made = _network(_relu())
    made.graph.initializer.append(tensor)
    return made


def _function(name: str, *nodes: onnx.NodeProto) -> onnx.FunctionProto:
    return helper.make_function("local", name, ["a"], ["b"], list(nodes), [helper.make_opsetid("", 17)])


def _calling(*functions: onnx.FunctionProto) -> onnx.ModelProto:
    made = model(
        [helper.make_node(functions[0].name, ["x"], ["y"], domain="local")],
        {"x": ["N", 16]},
        {"y": ["N", 16]},
        domains=("local",),
    )
    made.functions.extend(functions)
    for function in made.functions:
        function.opset_import.append(helper.make_opsetid("local", 1))
    return made


def _branches(inner: onnx.GraphProto) -> onnx.NodeProto:
    return helper.make_node("If", ["yes"], ["unused"], then_branch=inner, else_branch=inner)


# Files that are something else, or less than they were.


@_bad("not ONNX")
def one_byte() -> bytes:
    return b"\x08"


@_bad("not ONNX")
def a_web_page() -> bytes:
    return b"<html>404 not found</html>"


@_bad("not ONNX")
def random_bytes() -> bytes:
    return np.random.default_rng(0).bytes(4096)


@_bad("not ONNX")
def random_bytes_after_a_valid_start() -> bytes:
    return mlp().SerializeToString()[:40] + np.random.default_rng(1).bytes(4096)


@_bad("model: ")
def flipped_bits_all_over() -> bytes:
    data = bytearray(mlp().SerializeToString())
    for place in np.random.default_rng(2).integers(0, 120, 20):
        data[place] ^= 0xFF
    return bytes(data)


@_bad("truncated")
def truncated_in_the_header() -> bytes:
    return mlp().SerializeToString()[:30]


@_bad("truncated")
def truncated_in_the_middle() -> bytes:
    data = mlp().SerializeToString()
    return data[: len(data) // 2]


@_bad("truncated")
def truncated_at_the_end() -> bytes:
    return mlp().SerializeToString()[:-1]


@_bad("gzip")
def compressed() -> bytes:
    return gzip.compress(mlp().SerializeToString(), mtime=0)


@_bad("Git LFS pointer")
def a_pointer_of_git_lfs() -> bytes:
    return b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"


@_bad("safetensors")
def weights_without_a_network() -> bytes:
    return (64).to_bytes(8, "little") + b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.ljust(64) + b"\0" * 4


@_bad("a pickle, which runs code")
def a_pickle_under_another_name(trap: Path) -> bytes:
    return Bomb(trap).pickled()


@_bad("not ONNX")
def a_pickle_of_the_oldest_protocol(trap: Path) -> bytes:
    return Bomb(trap).pickled(protocol=0)


@_bad("arrays (.npz)")
def arrays() -> bytes:
    file = io.BytesIO()
    np.savez(file, w=np.zeros(3))
    return file.getvalue()


@_bad("unpacks to more")
def a_zip_bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w.npy", b"\0" * (64 << 20))
    return file.getvalue()


@_bad("not ONNX")
def a_length_of_exabytes() -> bytes:
    return b"\x08\x08\x3a\xff\xff\xff\xff\xff\xff\xff\x7f" + b"\0" * 64


@_bad("not ONNX")
def messages_nested_a_thousand_deep() -> bytes:
    graph = b""
    for _ in range(1000):
        attribute = b"\x32" + _varint(len(graph)) + graph  # AttributeProto.g
        node = b"\x2a" + _varint(len(attribute)) + attribute  # NodeProto.attribute
        graph = b"\x0a" + _varint(len(node)) + node  # GraphProto.node
    return b"\x08\x08\x3a" + _varint(len(graph)) + graph


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


# Data in other files, in every place that can name one.

_ELSEWHERE = "keeps its data in another file"


@_bad(_ELSEWHERE)
def external_weight() -> onnx.ModelProto:
    return _with_weight(_external())


@_bad(_ELSEWHERE)
def external_weight_marked_as_inline() -> onnx.ModelProto:
    tensor = _external()
    tensor.data_location = TensorProto.DEFAULT
    return _with_weight(tensor)


@_bad(_ELSEWHERE)
def external_memory_address() -> onnx.ModelProto:
    tensor = _external()
    tensor.external_data[0].value = "*/_ORT_MEM_ADDR_/*"
    return _with_weight(tensor)


@_bad(_ELSEWHERE)
def external_sparse_weight() -> onnx.ModelProto:
    made = _network(_relu())
    made.graph.sparse_initializer.append(_sparse(_external()))
    return made


@_bad(_ELSEWHERE)
def external_sparse_indices() -> onnx.ModelProto:
    sparse = _sparse(helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0]))
    sparse.indices.CopyFrom(_external())
    made = _network(_relu())
    made.graph.sparse_initializer.append(sparse)
    return made


@_bad(_ELSEWHERE)
def external_attribute() -> onnx.ModelProto:
    return _network(_relu(), helper.make_node("Constant", [], ["c"], value=_external()))


@_bad(_ELSEWHERE)
def external_attribute_in_a_list() -> onnx.ModelProto:
    node = _relu()
    node.attribute.append(onnx.AttributeProto(name="t", type=onnx.AttributeProto.TENSORS, tensors=[_external()]))
    return _network(node)


@_bad(_ELSEWHERE)
def external_in_a_subgraph() -> onnx.ModelProto:
    inner = helper.make_graph([_relu("w", "z")], "inner", [], [], [_external()])
    return _network(_relu(), _branches(inner))


@_bad(_ELSEWHERE)
def external_in_a_function() -> onnx.ModelProto:
    return _calling(_function("F", helper.make_node("Constant", [], ["c"], value=_external()), _relu("a", "b")))


@_bad(_ELSEWHERE)
def external_in_a_functions_default() -> onnx.ModelProto:
    function = _function("F", _relu("a", "b"))
    function.attribute_proto.append(onnx.AttributeProto(name="t", type=onnx.AttributeProto.TENSOR, t=_external()))
    return _calling(function)


@_bad(_ELSEWHERE)
def external_in_training_information() -> onnx.ModelProto:
    made = _network(_relu())
    made.training_info.add().algorithm.initializer.append(_external())
    return made


# Operators, opsets and functions.


@_bad("evil.example.Evil")
def custom_operator() -> onnx.ModelProto:
    nodes = [helper.make_node("Evil", ["x"], ["y"], domain="evil.example")]
    return model(nodes, {"x": ["N", 16]}, {"y": ["N", 16]}, domains=("evil.example",))


@_bad("evil.example.Evil")
def custom_operator_in_a_subgraph() -> onnx.ModelProto:
    inner = helper.make_graph([helper.make_node("Evil", ["x"], ["z"], domain="evil.example")], "inner", [], [])
    return _network(_relu(), _branches(inner))


@_bad("evil.example.Evil")
def custom_operator_in_a_function() -> onnx.ModelProto:
    return _calling(_function("F", helper.make_node("Evil", ["a"], ["b"], domain="evil.example")))


@_bad("loads compiled code")
def compiled_part() -> onnx.ModelProto:
    nodes = [helper.make_node("EPContext", ["x"], ["y"], domain="com.microsoft", ep_cache_context="/etc/passwd")]
    return model(nodes, {"x": ["N", 16]}, {"y": ["N", 16]}, domains=("com.microsoft",))


@_bad("not valid ONNX")
def operator_that_does_not_exist() -> onnx.ModelProto:
    return _network(helper.make_node("Frobnicate", ["x"], ["y"]))


@_bad("opset 10 is too old")
def opset_10() -> onnx.ModelProto:
    return _network(_relu(), opset=10)


@_bad("opset 999 is not known yet")
def opset_999() -> onnx.ModelProto:
    return _network(_relu(), opset=999)


@_bad("no opset")
def no_opset() -> onnx.ModelProto:
    made = _network(_relu())
    del made.opset_import[:]
    return made


@_bad("calls itself")
def function_that_calls_itself() -> onnx.ModelProto:
    return _calling(_function("F", helper.make_node("F", ["a"], ["b"], domain="local")))


@_bad("calls itself")
def functions_that_call_each_other() -> onnx.ModelProto:
    first = _function("F", helper.make_node("G", ["a"], ["b"], domain="local"))
    return _calling(first, _function("G", helper.make_node("F", ["a"], ["b"], domain="local")))


@_bad("unfold to more than")
def functions_that_double_forty_times() -> onnx.ModelProto:
    functions = [
        _function(
            f"F{level}",
            helper.make_node(f"F{level + 1}", ["a"], ["c"], domain="local"),
            helper.make_node(f"F{level + 1}", ["c"], ["b"], domain="local"),
        )
        for level in range(40)
    ]
    return _calling(*functions, _function("F40", _relu("a", "b")))


# Tensors whose data does not fit.


@_bad("negative size")
def negative_size() -> onnx.ModelProto:
    return _with_weight(TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[-4, 4], raw_data=b"\0" * 64))


@_bad("more than a build takes")
def sizes_that_overflow() -> onnx.ModelProto:
    return _with_weight(TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1 << 40, 1 << 40], raw_data=b""))


@_bad("instead of 64")
def too_little_raw_data() -> onnx.ModelProto:
    return _with_weight(TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 4], raw_data=b"\0" * 60))


@_bad("instead of 64")
def too_much_raw_data() -> onnx.ModelProto:
    return _with_weight(TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 4], raw_data=b"\0" * 128))


@_bad("instead of 16")
def too_few_values() -> onnx.ModelProto:
    return _with_weight(TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 4], float_data=[1.0]))


@_bad("instead of 3")
def packed_data_of_the_wrong_length() -> onnx.ModelProto:
    return _with_weight(TensorProto(name="w", data_type=TensorProto.INT4, dims=[5], raw_data=b"\0" * 5))


@_bad("unknown type 99")
def type_that_does_not_exist() -> onnx.ModelProto:
    return _with_weight(TensorProto(name="w", data_type=99, dims=[1], raw_data=b"\0"))


@_bad("nothing but NaN")
def weights_of_nan() -> onnx.ModelProto:
    return _network(helper.make_node("MatMul", ["x", "w"], ["y"]), weights={"w": np.full((16, 16), np.nan)})


# Graphs that are none.


@_bad("not valid ONNX")
def circle() -> onnx.ModelProto:
    return _network(helper.make_node("Add", ["x", "b"], ["a"]), _relu("a", "b"), _relu("b", "y"))


@_bad("not valid ONNX")
def name_given_twice() -> onnx.ModelProto:
    return _network(_relu(), _relu())


@_bad("not valid ONNX")
def input_from_nowhere() -> onnx.ModelProto:
    return _network(helper.make_node("Add", ["x", "ghost"], ["y"]))


@_bad("model: ")
def output_of_nothing() -> onnx.ModelProto:
    return _network(_relu("x", "z"))


@_bad("no inputs or no outputs")
def no_outputs() -> onnx.ModelProto:
    made = _network(_relu())
    del made.graph.output[:]
    return made


@_bad("no inputs or no outputs")
def no_inputs() -> onnx.ModelProto:
    made = _network(_relu("w", "y"), weights={"w": np.zeros((1, 16))})
    del made.graph.input[:]
    return made


@_bad("nest more than")
def subgraphs_nested_twelve_deep() -> onnx.ModelProto:
    inner = helper.make_graph([_relu("x", "z")], "inner", [], [])
    for _ in range(12):
        inner = helper.make_graph([helper.make_node("If", ["yes"], ["z"], then_branch=inner)], "inner", [], [])
    return _network(_relu(), _branches(inner))


@_bad("more than 100000 nodes")
def too_many_nodes() -> onnx.ModelProto:
    made = _network(_relu())
    made.graph.node.extend([_relu("x", "z")] * 100_000)
    return made


@_bad("text of more than 1 MiB")
def huge_text() -> onnx.ModelProto:
    return _network(_relu(note="a" * (2 << 20)))


@_bad("characters")
def huge_name() -> onnx.ModelProto:
    return _network(_relu("x", "y" * 5000), _relu())


# Inputs, outputs and shapes that cannot be served.


@_bad("is a scalar")
def scalar_input() -> onnx.ModelProto:
    return model([helper.make_node("Add", ["x", "k"], ["y"])], {"x": ["N", 16], "k": []}, {"y": ["N", 16]})


@_bad("is a sequence")
def sequence_input() -> onnx.ModelProto:
    made = _network(helper.make_node("ConcatFromSequence", ["x"], ["y"], axis=0))
    made.graph.input[0].CopyFrom(helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, None))
    return made


@_bad("is optional")
def optional_input() -> onnx.ModelProto:
    made = _network(helper.make_node("OptionalGetElement", ["x"], ["y"]), opset=18)
    kind = helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, ["N", 16]))
    made.graph.input[0].CopyFrom(helper.make_value_info("x", kind))
    return made


def _identity(kind: int) -> onnx.ModelProto:
    made = _network(helper.make_node("Identity", ["x"], ["y"]))
    for value in (made.graph.input[0], made.graph.output[0]):
        value.type.tensor_type.elem_type = kind
    return made


@_bad("is string; only tensors of numbers")
def text_input() -> onnx.ModelProto:
    return _identity(TensorProto.STRING)


@_bad("is bfloat16; only tensors of numbers")
def bfloat16_input() -> onnx.ModelProto:
    return _identity(TensorProto.BFLOAT16)


@_bad("negative size")
def negative_input_shape() -> onnx.ModelProto:
    return model([_relu()], {"x": ["N", -16]}, {"y": ["N", 16]})


@_bad("more elements than a build takes")
def input_of_terabytes() -> onnx.ModelProto:
    return model([_relu()], {"x": ["N", 1 << 40]}, {"y": ["N", 1 << 40]})


@_bad("fixed to different sizes")
def inputs_of_different_batches() -> onnx.ModelProto:
    return model([helper.make_node("Add", ["x", "z"], ["y"])], {"x": [2, 16], "z": [3, 16]}, {"y": [2, 16]})


@_bad("model: ")
def shapes_that_do_not_multiply() -> onnx.ModelProto:
    return _network(helper.make_node("MatMul", ["x", "w"], ["y"]), weights={"w": np.zeros((3, 16))})


@_bad("model: ")
def types_that_do_not_add() -> onnx.ModelProto:
    made = _network(helper.make_node("Add", ["x", "w"], ["y"]))
    made.graph.initializer.append(numpy_helper.from_array(np.zeros(16, np.int64), "w"))
    return made


@_bad("could not share a batch")
def rows_that_mix() -> onnx.ModelProto:
    return _network(helper.make_node("Softmax", ["x"], ["y"], axis=0))


@_bad("dynamic first axis")
def batch_folded_into_another_axis() -> onnx.ModelProto:
    nodes = [helper.make_node("Reshape", ["x", "s"], ["z"]), helper.make_node("Flatten", ["z"], ["y"])]
    made = model(nodes, {"x": [1, 16]}, {"y": [4, 4]})
    made.graph.initializer.append(numpy_helper.from_array(np.array([4, 4]), "s"))
    return made


# Models that take all there is.

_MEMORY = "MiB of memory"


def _shape_of_rows(*sizes: int) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Shape", ["x"], ["shape"], end=1),
        helper.make_node("Constant", [], ["rest"], value=numpy_helper.from_array(np.array(sizes))),
        helper.make_node("Concat", ["shape", "rest"], ["large"], axis=0),
    ]


@_bad(_MEMORY)
def constant_of_terabytes() -> onnx.ModelProto:
    return _network(*_shape_of_rows(1 << 40), helper.make_node("ConstantOfShape", ["large"], ["y"]))


@_bad(_MEMORY)
def expansion_to_gigabytes() -> onnx.ModelProto:
    return _network(*_shape_of_rows(1 << 26, 16), helper.make_node("Expand", ["x", "large"], ["y"]))


@_bad("exceeds the supported maximum")
def tiles_of_gigabytes() -> onnx.ModelProto:
    node = helper.make_node("Tile", ["x", "times"], ["y"])
    made = _network(node)
    made.graph.initializer.append(numpy_helper.from_array(np.array([1, 1 << 28]), "times"))
    return made


@_bad(_MEMORY)
def range_of_gigabytes() -> onnx.ModelProto:
    bounds = {"start": 0, "end": 1 << 31, "step": 1}
    made = _network(
        helper.make_node("Range", ["start", "end", "step"], ["many"]),
        helper.make_node("ReduceSum", ["many"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["sum"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["x", "number"], ["y"]),
    )
    made.graph.initializer.extend(numpy_helper.from_array(np.array(value), name) for name, value in bounds.items())
    return made


def _loop(*nodes: onnx.NodeProto, carried: onnx.ValueInfoProto) -> onnx.ModelProto:
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["still"]), *nodes],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            carried,
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, None),
        ],
    )
    made = _network(
        helper.make_node("Loop", ["", "yes", "x"], ["z"], body=body),
        helper.make_node("ReduceSum", ["z"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    )
    made.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    return made


@_bad("took more than")
def loop_without_end() -> onnx.ModelProto:
    node = helper.make_node("Relu", ["state"], ["next"])
    return _loop(node, carried=helper.make_tensor_value_info("state", TensorProto.FLOAT, None))


@_bad(_MEMORY)
def loop_that_doubles_its_state() -> onnx.ModelProto:
    node = helper.make_node("Concat", ["state", "state"], ["next"], axis=0)
    return _loop(node, carried=helper.make_tensor_value_info("state", TensorProto.FLOAT, None))
