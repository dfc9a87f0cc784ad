"""Watches with kopf, which only says which key changed: it has its own thread and loop, and is restarted when it ends.

kopf exits on most bad answers to a watch and cancels what else runs on its loop when it does, so it gets a loop of its
own and a supervisor. That no change is lost meanwhile is the resync's work.
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
from slipstream_operator.cluster import kinds
from slipstream_operator.cluster.kinds import Kind
from slipstream_operator.cluster.queue import Key
from slipstream_operator.cluster.settings import OperatorSettings

WATCHED_CHILDREN: tuple[Kind, ...] = (*kinds.CHILDREN, kinds.POD)
RESTART_SECONDS = (0.2, 1.0, 2.0, 5.0, 10.0)
STEADY_SECONDS = 60.0
STOP_SECONDS = 25.0

_log = logging.getLogger(__name__)


def key_of_child(labels: dict[str, str], namespace: str) -> Key | None:
    """Return the key of the AgentDeployment that a child's labels name."""
    name = labels.get(names.LABEL_INSTANCE)
    return (namespace, name) if name else None


def address_in_cluster(environment: Mapping[str, str]) -> str:
    """Return where pods find the API server; IPv6 addresses as URLs write them."""
    host, port = environment["KUBERNETES_SERVICE_HOST"], environment["KUBERNETES_SERVICE_PORT"]
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def registry(changed: Callable[[Key], None]) -> kopf.OperatorRegistry:
    """Return the handlers: each calls `changed` with a key, from kopf's thread, and does nothing else."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)  # type: ignore[untyped-decorator, unused-ignore]
    def login(**arguments: Any) -> Any:
        account = kopf.login_with_service_account(**arguments)
        if account is None:
            return kopf.login_with_kubeconfig(**arguments)
        # By address, as our own client does: the watches must not end when names do not resolve.
        return dataclasses.replace(account, server=address_in_cluster(os.environ))

    @kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=handlers)
    def agent_deployment(namespace: str | None, name: str | None, **_: Any) -> None:
        changed((namespace or "", name or ""))

    def child(labels: Any, namespace: str | None, **_: Any) -> None:
        if (key := key_of_child(dict(labels), namespace or "")) is not None:
            changed(key)

    ours = {names.LABEL_MANAGED_BY: names.FIELD_MANAGER}
    for kind in WATCHED_CHILDREN:
        group, _, version = kind.api_version.rpartition("/")
        kopf.on.event(group, version, kind.plural, labels=ours, id=kind.plural, registry=handlers)(child)
    return handlers


def watch_settings(settings: OperatorSettings) -> kopf.OperatorSettings:
    """Return kopf's settings: bounded waits, patience with a failing API server, no traces on objects."""
    own = kopf.OperatorSettings()
    own.networking.request_timeout = 15
    own.networking.connect_timeout = 5
    own.networking.error_backoffs = [1, 1, 2, 3, 5, 8, 13, 21, 30, 30, 30, 30, 30, 30, 30, 30]
    own.networking.enforce_retry_after = True
    own.networking.trust_env = False
    own.queueing.worker_limit = 64
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
    own.process.ultimate_exiting_timeout = 25
    own.background.cancellation_polling = 5
    return own


class Watcher:
    """kopf in a thread, begun again whenever it ends, until it is stopped."""

    def __init__(self, settings: OperatorSettings, changed: Callable[[Key], None]) -> None:
        self._settings = settings
        self._changed = changed
        self._stop = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._supervise, name="watching", daemon=True)
        self.restarts = 0
        self.event_at = time.monotonic()

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    async def stop(self) -> None:
        """End the watches."""
        self._stop.set()
        await asyncio.to_thread(self._thread.join, STOP_SECONDS)

    def _seen(self, key: Key) -> None:
        self.event_at = time.monotonic()
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._changed, key)

    def _supervise(self) -> None:
        failures = 0
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                asyncio.run(self._watch())
            except Exception as error:  # noqa: BLE001 (whatever ended the watches, they must begin again)
                _log.warning("watching ended: %s: %s", type(error).__name__, error)
            failures = 0 if time.monotonic() - began > STEADY_SECONDS else failures + 1
            if not self._stop.wait(RESTART_SECONDS[min(failures, len(RESTART_SECONDS) - 1)]):
                self.restarts += 1

    async def _watch(self) -> None:
        await kopf.operator(
            registry=registry(self._seen),
            settings=watch_settings(self._settings),
            standalone=True,
            clusterwide=not self._settings.namespaces,
            namespaces=self._settings.namespaces,
            stop_flag=self._stop,
        )
