"""The back end that runs a cluster from source on this machine."""

import os
import shutil
from pathlib import Path

import images
import preflight
from bring_up import BringUp
from layout import Layout
from programs import ControlPlaneError, provide
from running import Running, mark_ready, only_one_at_work, recorded
from saying import ClusterError, say, step
from start import end, start


class Source:
    """One cluster on this machine, in namespaces of its own."""

    def __init__(self, layout: Layout) -> None:
        """Keep it below this folder."""
        self._layout = layout

    def up(self) -> None:
        """Start the cluster, or go on where an earlier start stopped; one that is ready stays as it is."""
        preflight.require_root()
        with only_one_at_work():
            running = self._own()
            if running is not None and running.ready:
                say("it is running already")
                return
            try:
                self._bring_up(running)
            except BaseException:
                end(recorded())
                raise

    def down(self) -> None:
        """End the cluster and remove what it wrote, but not its logs; nothing happens if there is none."""
        preflight.require_root()
        with only_one_at_work(), step("nothing of it is left"):
            end(self._own())
            self._layout.kubeconfig.unlink(missing_ok=True)
            shutil.rmtree(self._layout.state, ignore_errors=True)

    def load(self, archive: Path) -> None:
        """Import an image archive."""
        preflight.require_root()
        running = self._own()
        if running is None:
            raise ClusterError("no cluster is running: `make cluster` starts one")
        with step(f"{archive} is loaded"):
            print(images.load(running, archive))

    def status(self) -> str:
        """Where the cluster is found; raises ClusterError if it does not run."""
        running = self._own()
        if running is None or not running.ready:
            raise ClusterError("it is not running: `make cluster` starts it")
        return f"running as process {running.process_id}; logs in {self._layout.logs}"

    def _bring_up(self, running: Running | None) -> None:
        try:
            programs = provide(os.environ)
        except ControlPlaneError as error:
            raise ClusterError(str(error)) from None
        if running is None:
            end(None)  # what a cluster that was killed has left
            preflight.require_machine()
            with step("the components are started"):
                running = start(self._layout, programs, preflight.plugin_folder())
        BringUp(running, self._layout, programs).run()
        mark_ready(running)

    def _own(self) -> Running | None:
        """The cluster of this folder; another folder's is in the way."""
        running = recorded()
        if running is not None and running.folder != str(self._layout.folder):
            raise ClusterError(
                f"this machine runs a cluster already, from {running.folder} (process {running.process_id}): "
                "use it, or take it down with `make cluster-down` there"
            )
        return running
