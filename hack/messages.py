"""Generates the runtime's protobuf messages from open_inference.proto; needs `pip install grpcio-tools`.

    python hack/messages.py

protoc's own Python code is not used, for two reasons. It refuses to run beside another major version of protobuf than
the one that wrote it. And it puts its messages into the one descriptor pool of the process, where Triton's client,
which defines the same names, collides with them. Only the descriptor and the types are taken.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

RPC = Path(__file__).resolve().parents[1] / "runtime" / "slipstream_runtime" / "rpc"

MODULE = '''"""Generated from open_inference.proto by `python hack/messages.py`; do not edit."""

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message_factory import GetMessageClass

DESCRIPTOR = DescriptorPool().AddSerializedFile(
    {serialized}
)
DataType = EnumTypeWrapper(DESCRIPTOR.enum_types_by_name["DataType"])
globals().update({{name: GetMessageClass(message) for name, message in DESCRIPTOR.message_types_by_name.items()}})
'''


def main() -> None:
    """Write the module and its types."""
    with tempfile.TemporaryDirectory() as scratch:
        found = Path(scratch) / "set"
        flags = [f"--proto_path={RPC}", f"--descriptor_set_out={found}", f"--pyi_out={RPC / 'messages'}"]
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *flags, "open_inference.proto"], check=True)
        serialized = _only_file(found.read_bytes())
    types = RPC / "messages" / "open_inference_pb2.pyi"
    types.write_text('# mypy: disable-error-code="type-arg"\n' + types.read_text())
    lines = (repr(serialized[start : start + 100]) for start in range(0, len(serialized), 100))
    module = MODULE.format(serialized="\n    ".join(lines))
    (RPC / "messages" / "open_inference_pb2.py").write_text(module)


def _only_file(descriptor_set: bytes) -> bytes:
    files = FileDescriptorSet.FromString(descriptor_set).file
    if len(files) != 1:
        sys.exit("open_inference.proto: must import nothing; the messages come from one file")
    return files[0].SerializeToString()


if __name__ == "__main__":
    main()
