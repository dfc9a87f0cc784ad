"""What the pages tell of the replica, read from the verified artifact."""

from collections.abc import Callable
from dataclasses import dataclass

from slipstream_contract.manifest import Manifest, Variant
from slipstream_runtime.protocol.signature import Signature


@dataclass(frozen=True)
class Served:
    """The model as it is served.

    `variant` returns the name of the variant that serves now, `max_rows` is the most rows of one batch, and `keys`
    tells whether callers need a bearer token.
    """

    model: str
    manifest: Manifest
    digest: str
    variant: Callable[[], str]
    max_rows: int
    keys: bool

    @property
    def signature(self) -> Signature:
        """What the model takes and gives."""
        return Signature(self.manifest.inputs, self.manifest.outputs)

    @property
    def current(self) -> Variant:
        """The variant that serves now."""
        return self.manifest.variant(self.variant())
