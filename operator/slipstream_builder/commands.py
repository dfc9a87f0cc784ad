"""The builder's two commands, with every failure turned into a line, a summary and an exit code."""

import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from slipstream_builder import build, summarise
from slipstream_builder.artifact import workspace
from slipstream_builder.errors import BuilderError, RecipeError, SourceError, ValidationError
from slipstream_builder.files import disk_full_in_words, write_atomically
from slipstream_builder.outcome import BuildReport
from slipstream_builder.report import text
from slipstream_builder.report.page import render
from slipstream_builder.reporting import Reporter, StoppedError, StopRequest
from slipstream_contract import codec
from slipstream_contract.errors import ContractError
from slipstream_contract.load import LoadReport
from slipstream_contract.manifest import REPORT_HTML_FILE, REPORT_JSON_FILE
from slipstream_contract.progress import Progress
from slipstream_contract.recipe import Recipe
from slipstream_contract.summary import EXIT_CODES, BuildSummary

T = TypeVar("T")
_STORES = ("", "artifacts/", "*/artifacts/", ".slipstream/*/artifacts/")


def build_command(
    recipe_file: Path,
    store: Path,
    work: Path | None,
    summary_file: Path | None,
    parallel: int | None,
    keep: tuple[str, ...] = (),
) -> int:
    """Build the recipe in `recipe_file` into `store`, `parallel` candidates at a time; return the exit code.

    Where `keep` names digests of artifacts, all others but the new one are then removed from the store.
    """
    stop, digest = StopRequest(), ""
    with _signals(stop):
        try:
            recipe = _read(Recipe, recipe_file)
            digest = recipe.digest
            summary, code = _build(recipe, store, work, parallel, stop), 0
            if keep:
                workspace.remove_artifacts(store, {*keep, summary.artifact_digest or ""})
        except StoppedError as stopped:
            name = signal.Signals(stopped.signal_number).name
            summary = summarise.failed("Internal", f"stopped by {name}; finished candidates are kept", digest)
            code = 128 + stopped.signal_number
        except BuilderError as error:
            summary = summarise.failed(error.reason, str(error), digest)
            code = EXIT_CODES[error.reason]
        except Exception as error:  # noqa: BLE001  # the last resort: a line, not a traceback
            summary = summarise.failed("Internal", f"unexpected {type(error).__name__}: {error}", digest)
            code = EXIT_CODES["Internal"]
    return _finish(summary, code, summary_file)


def report_command(folder: Path, load_file: Path | None, out: Path | None) -> int:
    """Print what the artifact in `folder` (or the newest below it) says; return the exit code.

    Its page, with a load run if there is one, is written to `out`; without `out`, the artifact's own is named.
    """
    try:
        artifact = _artifact(folder)
        report = _read(BuildReport, artifact / REPORT_JSON_FILE)
        load = _read(LoadReport, load_file) if load_file else None
        if out is not None:
            with disk_full_in_words(out):
                write_atomically(out, render(report, load).encode())
    except BuilderError as error:
        return _refuse(str(error), EXIT_CODES[error.reason])
    except OSError as error:
        return _refuse(f"{out}: cannot be written ({error.strerror}); check the path", EXIT_CODES["InvalidRecipe"])
    sys.stdout.write(f"{text.render(report)}\n\nreport: {out or artifact / REPORT_HTML_FILE}\n")
    return 0


def _artifact(folder: Path) -> Path:
    """Return `folder`, or the newest artifact in it: in a store, in a deployment's state, or in several of these.

    Raises:
        RecipeError: there is none.
    """
    if (folder / REPORT_JSON_FILE).exists():
        return folder
    found = [path for pattern in _STORES for path in folder.glob(f"{pattern}sha256-*")]
    if not found:
        raise RecipeError(f"{folder}: there is no artifact in it; give the folder that a build named, or build first")
    return max(found, key=lambda path: path.stat().st_mtime)


def _read(cls: type[T], path: Path) -> T:
    """Return the JSON file at `path` as an instance of `cls`.

    Raises:
        RecipeError: it cannot be read, or is something else.
    """
    try:
        return codec.decode_json(cls, path.read_bytes(), str(path))
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except ContractError as error:
        raise RecipeError(str(error)) from error


def _refuse(message: str, code: int) -> int:
    sys.stderr.write(f"slipstream-builder: error: {message}\n")
    return code


def _build(recipe: Recipe, store: Path, work: Path | None, parallel: int | None, stop: StopRequest) -> BuildSummary:
    reporter = Reporter(_print, time.monotonic, stop)
    existed = store.exists()
    with disk_full_in_words(store):
        try:
            with workspace.draft(store) as folder, _temporary_files_in(work or folder):
                return build.run(recipe, build.Place(store, folder, parallel), reporter)
        except (SourceError, ValidationError):
            # The candidates so far are of inputs that must change first.
            workspace.clear_cache(store, recipe.digest)
            raise
        finally:
            if not existed:
                # A store that this build made and left empty would be litter.
                with contextlib.suppress(OSError):
                    store.rmdir()


def _finish(summary: BuildSummary, code: int, summary_file: Path | None) -> int:
    if code:
        _refuse(summary.message, code)
    else:
        sys.stdout.write(f"{summary.message}\n")
    if summary_file is not None:
        try:
            _write_summary(summary_file, summary.to_json())
        except OSError as error:
            return _refuse(f"{summary_file}: cannot be written ({error.strerror})", code or EXIT_CODES["Internal"])
    return code


def _write_summary(path: Path, text: str) -> None:
    """Write the summary; a pod's termination message is a mounted file, which cannot be replaced, only written to."""
    if path.exists():
        path.write_text(text)
    else:
        write_atomically(path, text.encode())


def _print(progress: Progress) -> None:
    sys.stdout.write(progress.to_line() + "\n")
    sys.stdout.flush()


@contextlib.contextmanager
def _signals(stop: StopRequest) -> Iterator[None]:
    previous = {number: signal.signal(number, stop.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _temporary_files_in(parent: Path) -> Iterator[None]:
    """Send what libraries write on the side below `parent`, so that it goes when the build ends."""
    before = tempfile.tempdir
    with workspace.draft(parent) as folder:
        tempfile.tempdir = str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = before
