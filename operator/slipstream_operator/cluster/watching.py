"""Watches AgentDeployments with kopf, which only says which changed, in its own thread and loop, under a supervisor.

kopf exits on most bad answers to a watch and cancels what else runs on its loop when it does, so it gets a loop of its
own and is begun again when it ends, or when it stops showing what lists say has changed. That no change is lost
meanwhile is the resync's work. Children are not watched by kopf: it would take 20 KiB for each.
"""

import asyncio
import dataclasses
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import kopf

from slipstream_contract import names
from slipstream_operator.cluster.queue import Key
from slipstream_operator.cluster.settings import OperatorSettings
from slipstream_operator.cluster.sightings import Sightings

RESTART_SECONDS = (0.2, 1.0, 2.0, 5.0, 10.0)
STEADY_SECONDS = 60.0
STOP_SECONDS = 12.0
"""What kopf allows itself for its end, and a little; it only reads, so that nothing is lost with it."""

BEAT_SECONDS = 1.0
BLIND_SECONDS = 30.0
"""kopf is begun again when it has not shown a change for this long."""


_log = logging.getLogger(__name__)


def address_in_cluster(environment: Mapping[str, str]) -> str:
    """Return where pods find the API server; IPv6 addresses as URLs write them."""
    host, port = environment["KUBERNETES_SERVICE_HOST"], environment["KUBERNETES_SERVICE_PORT"]
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def registry(changed: Callable[[Key, int], None]) -> kopf.OperatorRegistry:
    """Return the handlers: they call `changed` with a key and its version, from kopf's thread, and do nothing else."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)  # type: ignore[untyped-decorator, unused-ignore]
    def login(**arguments: Any) -> Any:
        account = kopf.login_with_service_account(**arguments)
        if account is None:
            return kopf.login_with_kubeconfig(**arguments)
        # By address, as our own client does: the watches must not end when names do not resolve.
        return dataclasses.replace(account, server=address_in_cluster(os.environ))

    @kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=handlers)
    async def agent_deployment(namespace: str | None, name: str | None, meta: Any, **_: Any) -> None:
        changed((namespace or "", name or ""), int(meta.get("resourceVersion") or 0))

    return handlers


def watch_settings(settings: OperatorSettings) -> kopf.OperatorSettings:
    """Return kopf's settings: bounded waits, patience with a failing API server, no traces on objects."""
    own = kopf.OperatorSettings()
    own.networking.request_timeout = 15
    own.networking.connect_timeout = 5
    own.networking.error_backoffs = [1, 1, 2, 3, 5, 8, 13, 21, 30, 30, 30, 30, 30, 30, 30, 30]
    own.networking.enforce_retry_after = True
    own.networking.trust_env = False
    own.queueing.worker_limit = None  # one that waits for news keeps its place, so that the next object would wait too
    own.queueing.idle_timeout = 1
    own.queueing.error_delays = [1, 2, 5, 10, 30]
    own.queueing.exit_timeout = 10
    own.execution.max_workers = 16
    own.execution.default_backoff = 15
    own.posting.enabled = False
    own.peering.standalone = True
    own.scanning.disabled = bool(settings.namespaces)
    own.watching.server_timeout = 300
    own.watching.client_timeout = 310
    own.watching.connect_timeout = 5
    own.watching.inactivity_timeout = 70
    own.watching.reconnect_backoff = 0.5
    own.watching.chunk_size = 500
    own.persistence.finalizer = f"{names.GROUP}/operator"
    own.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=names.GROUP)
    own.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=names.GROUP)
    own.process.ultimate_exiting_timeout = None  # it would kill the process, where the watches are begun again
    own.background.cancellation_polling = 5
    return own


class Watcher:
    """kopf in a thread, begun again whenever it ends, until it is stopped."""

    def __init__(self, settings: OperatorSettings, changed: Callable[[Key], None]) -> None:
        self._settings = settings
        self._changed = changed
        self._stopped = threading.Event()
        self._ended = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._supervise, name="watching", daemon=True)
        self._beat_at = time.monotonic()
        self._sightings = Sightings()
        self.restarts = 0

    @property
    def stuck_seconds(self) -> float:
        """For how long kopf's loop has stood still, or has not shown a change that a list did."""
        now = time.monotonic()
        return max(now - self._beat_at, self._sightings.behind_seconds(now))

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    async def stop(self) -> None:
        """End the watches."""
        self._stopped.set()
        self._ended.set()
        await asyncio.to_thread(self._thread.join, STOP_SECONDS)

    def listed(self, versions: Mapping[Key, int] | None) -> None:
        """Compare what was shown with a list of all (None: nobody could list); a kopf that is blind is begun again."""
        now = time.monotonic()
        if versions is None:
            self._sightings.lost()
        else:
            self._sightings.listed(versions, now)
        if (behind := self._sightings.behind_seconds(now)) > BLIND_SECONDS:
            _log.warning("watching: a change was not shown for %.0f s", behind)
            self._ended.set()

    def _seen(self, key: Key, version: int) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._take, key, version)

    def _take(self, key: Key, version: int) -> None:
        self._sightings.seen(key, version)
        self._changed(key)

    def _supervise(self) -> None:
        failures = 0
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                asyncio.run(self._watch())
            except Exception as error:  # noqa: BLE001 (whatever ended the watches, they must begin again)
                _log.warning("watching ended: %s: %s", type(error).__name__, error)
            failures = 0 if time.monotonic() - began > STEADY_SECONDS else failures + 1
            if not self._stopped.wait(RESTART_SECONDS[min(failures, len(RESTART_SECONDS) - 1)]):
                self.restarts += 1
                self._ended.clear()

    async def _watch(self) -> None:
        beating = asyncio.create_task(self._beat())
        try:
            await kopf.operator(
                registry=registry(self._seen),
                settings=watch_settings(self._settings),
                standalone=True,
                clusterwide=not self._settings.namespaces,
                namespaces=self._settings.namespaces,
                stop_flag=self._ended,
            )
        finally:
            beating.cancel()
            # Where kopf ends by itself a thread of its loop still waits for this, and the loop for that thread.
            self._ended.set()

    async def _beat(self) -> None:
        """Show that kopf's loop turns."""
        while True:
            self._beat_at = time.monotonic()
            await asyncio.sleep(BEAT_SECONDS)
