"""Traffic of a client that never calls twice, for the length of a `with` block."""

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from slipstream_testing.api import Json
from slipstream_testing.tenant import Tenant
from slipstream_testing.tenant_pods import steady_pod


@dataclass(frozen=True)
class SteadyLoad:
    """Calls an agent at an even rate, in requests a second, with rows of these inputs of the ConfigMap `client`."""

    tenant: Tenant
    agent: str
    rate: int
    inputs: str = "inputs.npz"

    def __enter__(self) -> Self:
        """Begin, and wait until a second's worth of calls was answered."""
        self.tenant.apply(steady_pod(self.agent, "client", "steady_client.py", self.inputs, self.rate))
        self._follow(lambda last: last["answered"] > self.rate)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the client."""
        self.tenant("delete", "pod", f"steady-{self.agent}")

    def so_far(self) -> Json:
        """What was counted of the calls until now and of a second's worth of further ones."""
        before = self._follow(bool)["sent"]
        return self._follow(lambda last: last["sent"] > before + self.rate)

    def _follow(self, until: Callable[[Json], object]) -> Json:
        pod = f"steady-{self.agent}"
        return self.tenant.follow(pod, lambda lines: lines and until(lines[-1]), 60)[-1]
