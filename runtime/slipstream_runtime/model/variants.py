"""The variants of the artifact that a replica has ready, each verified, warmed up and measured here."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from slipstream_contract.manifest import Variant
from slipstream_contract.processes import MEMORY_SHARE, SESSION_FACTOR
from slipstream_contract.serving import ServingOptions
from slipstream_runtime.batching.curve import Line
from slipstream_runtime.batching.execution import Run
from slipstream_runtime.batching.policy import MAX_ROWS
from slipstream_runtime.errors import StartError
from slipstream_runtime.model import accelerator, quota
from slipstream_runtime.model.artifact import load_variant, read_manifest
from slipstream_runtime.model.providers import CPU, require
from slipstream_runtime.model.selfcheck import check_golden, measure
from slipstream_runtime.model.session import Session
from slipstream_runtime.model.watchdog import Watchdog
from slipstream_runtime.protocol.signature import Signature

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReadyVariant:
    """A variant whose session has given the golden answers.

    `line` is its batch latency on this machine, in seconds, and `largest` the most rows that are worth a batch.
    """

    name: str
    session: Session
    line: Line
    largest: int

    @property
    def run(self) -> Run:
        """What the batcher calls."""
        return self.session.run

    @property
    def provider(self) -> str:
        """Where it runs: cpu, cuda or tensorrt."""
        return self.session.provider


class ModelSet:
    """The variants that are ready, of which `current` answers.

    All of `names` are loaded at the start where the memory allows; else only the current one, and another when it is
    asked for, in place of the one before.
    """

    def __init__(
        self,
        signature: Signature,
        digest: str,
        names: tuple[str, ...],
        load: Callable[[str], ReadyVariant],
        watchdog: Watchdog,
        *,
        keep_all: bool,
    ) -> None:
        self.signature = signature
        self.digest = digest
        self.names = names
        self._load = load
        self._watchdog = watchdog
        self._keep_all = keep_all
        self._ready: dict[str, ReadyVariant] = {}
        self.current = self.get(names[0])
        for name in names[1:] if keep_all else ():
            self.get(name)

    @property
    def loaded(self) -> tuple[str, ...]:
        """The variants that are in memory."""
        return tuple(self._ready)

    @property
    def exhausted(self) -> bool:
        """Whether the current variant can no longer answer because its device's memory is exhausted."""
        return self.current.session.exhausted

    def get(self, name: str) -> ReadyVariant:
        """Return the variant `name`, loaded first where it is not: for seconds, so not on the event loop.

        Raises:
            KeyError: this replica serves no such variant; the message names those there are.
            StartError: it cannot be loaded.
        """
        if name not in self.names:
            raise KeyError(f"no variant {name!r}; this replica has {', '.join(self.names)}")
        found = self._ready.get(name)
        if found is None:
            found = self._ready[name] = self._load(name)
            self._watchdog.watch(*(ready.session for ready in self._ready.values()))
        return found

    def switched(self, variant: ReadyVariant) -> None:
        """Take note that `variant` answers from now on, and let go of the others where memory is short."""
        self.current = variant
        if not self._keep_all:
            self._ready = {variant.name: variant}
            self._watchdog.watch(variant.session)

    def close(self) -> None:
        """End the watching of runs."""
        self._watchdog.close()


def load_models(options: ServingOptions, threads: int) -> ModelSet:
    """Return the variants that `options` ask for: `variant`, and with `variant_file` all others of the artifact.

    Raises:
        StartError: a file is missing, altered or not what the manifest says, or a session cannot run it here.
    """
    require(options.provider)
    folder = Path(options.artifact)
    manifest, digest = read_manifest(folder)
    others = [found for found in manifest.variants if found.name != options.variant] if options.variant_file else []
    names = (options.variant, *(found.name for found in others))
    memory_bytes = quota.memory_bytes() // max(1, options.processes)
    keep_all = fits(manifest.variants, memory_bytes) or not others
    if not keep_all:
        logger.warning("memory holds one variant at a time: a switch loads the next one first")

    def load(name: str) -> ReadyVariant:
        return _ready(options, threads, name, digest)

    return ModelSet(Signature(manifest.inputs, manifest.outputs), digest, names, load, Watchdog(), keep_all=keep_all)


def fits(variants: Iterable[Variant], memory_bytes: int) -> bool:
    """Return whether the sessions of all `variants` can be expected to fit into `memory_bytes`."""
    return sum(variant.file.bytes for variant in variants) * SESSION_FACTOR <= memory_bytes * MEMORY_SHARE


def _ready(options: ServingOptions, threads: int, name: str, digest: str) -> ReadyVariant:
    folder, cap = Path(options.artifact), options.max_batch or MAX_ROWS
    loaded = load_variant(folder, name)
    if loaded.digest != digest:
        raise StartError(f"{folder}: the artifact was replaced while it was served; start the replica again")
    device = None
    if options.provider != CPU:
        device = accelerator.find(options.provider, loaded.signature, loaded.variant, loaded.digest, folder, cap)
    session = Session(loaded.model, loaded.signature, threads, str(folder / loaded.variant.file.path), device)
    loaded = replace(loaded, model=b"")  # the session has its own; for large models this is half of the memory
    check_golden(session, loaded, folder)
    line, largest = measure(session, loaded, cap, options.objective_milliseconds / 1000)
    return ReadyVariant(name, session, line, options.max_batch or largest)
