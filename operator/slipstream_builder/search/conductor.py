"""Has all candidates built and judged within the time budget, each in a process of its own, several at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from slipstream_builder.errors import DiskFullError
from slipstream_builder.reporting import Reporter
from slipstream_builder.search import schedule, tasks
from slipstream_builder.search.cache import CandidateCache, Record
from slipstream_builder.search.crew import Crew, Ended
from slipstream_builder.search.families import Candidate
from slipstream_builder.search.schedule import Finished
from slipstream_contract import codec
from slipstream_contract.progress import Progress
from slipstream_contract.summary import EXIT_CODES

_PATIENCE = 0.5
_KILLED = -9


@dataclass(frozen=True)
class Workshop:
    """Where candidates are made: `task` holds what all share, `folder` takes task files and logs.

    `workers` processes of `task.recipe.threads` threads each run at a time.
    """

    task: tasks.Task
    folder: Path
    workers: int
    reporter: Reporter

    @property
    def cache(self) -> CandidateCache:
        """Where finished candidates are."""
        return CandidateCache(Path(self.task.cache))

    def task_for(self, candidate: Candidate, *, judged: bool, estimated: bool = False) -> tasks.Task:
        """Return the candidate's own task; its key stands for the inputs, the tools and the techniques."""
        settings = tasks.settings(candidate.techniques)
        key = codec.digest({"shared": self.task.key, "techniques": settings})
        return replace(self.task, name=candidate.name, techniques=settings, judged=judged, estimated=estimated, key=key)


def build_one(candidate: Candidate, workshop: Workshop, deadline: float, *, estimated: bool) -> Finished:
    """Return the candidate built but not judged; with `estimated`, its record says what training would cost.

    Raises:
        DiskFullError: it cannot be kept.
    """
    return _Search(workshop, deadline, judged=False, estimated=estimated, estimates={}).run([candidate])[candidate.name]


def build_all(
    candidates: Sequence[Candidate], workshop: Workshop, deadline: float, estimates: Mapping[str, float]
) -> dict[str, Finished]:
    """Return what became of every candidate by `deadline` on the clock; `estimates` are seconds by name.

    Raises:
        DiskFullError: what was built cannot be kept.
    """
    return _Search(workshop, deadline, judged=True, estimated=False, estimates=estimates).run(candidates)


@dataclass(frozen=True)
class _Search:
    workshop: Workshop
    deadline: float
    judged: bool
    estimated: bool
    estimates: Mapping[str, float]

    def run(self, candidates: Sequence[Candidate]) -> dict[str, Finished]:
        finished: dict[str, Finished] = {}
        waiting = {candidate.name: candidate for candidate in candidates}
        shop = self.workshop
        with Crew(shop.folder, shop.workers, shop.task.recipe.threads, shop.reporter.clock) as crew:
            while len(finished) < len(candidates):
                self._start(waiting, finished, crew)
                for news in crew.listen(_PATIENCE) if crew.progress else ():
                    if isinstance(news, Ended):
                        finished[news.name] = self._outcome(news, candidates)
                        self._call_off(candidates, finished, crew)
                    else:
                        self._tell(news, waiting, crew)
                shop.reporter.stop.check()
        # What started before its milder relative's end was known counts no more than what waited for it.
        return {candidate.name: _last_word(candidate, finished) for candidate in candidates}

    def _start(self, waiting: dict[str, Candidate], finished: dict[str, Finished], crew: Crew) -> None:
        """Start what there is a worker for, in order; settle what needs none."""
        for candidate in schedule.in_order(waiting.values(), finished):
            settled = self._settled(candidate, finished)
            if settled is None and not crew.free:
                return
            del waiting[candidate.name]
            if settled is not None:
                finished[candidate.name] = settled
                self._say(candidate.name, settled)
                continue
            task = self.workshop.task_for(candidate, judged=self.judged, estimated=self.estimated)
            path = self.workshop.folder / f"{candidate.name}.task"
            path.write_bytes(codec.canonical_json(task))
            crew.start(candidate.name, path, self.deadline)

    def _call_off(self, candidates: Sequence[Candidate], finished: Mapping[str, Finished], crew: Crew) -> None:
        """End what runs though a milder relative's end leaves it no hope."""
        for candidate in candidates:
            if candidate.name in crew.progress and (reason := schedule.pointless(candidate, finished)):
                crew.stop(candidate.name, reason)

    def _settled(self, candidate: Candidate, finished: Mapping[str, Finished]) -> Finished | None:
        if reason := schedule.pointless(candidate, finished):
            return Finished("skipped", reason)
        record = self._record(candidate)
        if record is not None and (record.failure or record.judgement or not self.judged):
            return _from(record)
        left = self.deadline - self.workshop.reporter.clock()
        if reason := schedule.unaffordable(self.estimates.get(candidate.name, 0.0), left):
            return Finished("skipped", reason)
        return None

    def _record(self, candidate: Candidate) -> Record | None:
        return self.workshop.cache.get(candidate.name, self.workshop.task_for(candidate, judged=self.judged).key)

    def _outcome(self, ended: Ended, candidates: Sequence[Candidate]) -> Finished:
        if ended.stopped is not None:
            return Finished("skipped", ended.stopped)
        if ended.code == EXIT_CODES["OutOfDisk"]:
            raise DiskFullError(
                f"{self.workshop.task.cache}: no space left for candidate {ended.name}; "
                "free some, or give a larger volume"
            )
        (candidate,) = [candidate for candidate in candidates if candidate.name == ended.name]
        record = self._record(candidate)
        if ended.code == 0 and record is not None:
            return _from(record)
        return Finished("failed", _failure(ended))

    def _tell(self, progress: Progress, waiting: Mapping[str, Candidate], crew: Crew) -> None:
        """Pass a candidate's progress on, with the time that is left, and end it where it will not fit."""
        running = crew.progress
        if progress.step not in running:
            return
        fraction, spent = running[progress.step]
        left = self.deadline - self.workshop.reporter.clock()
        if self.judged and (reason := schedule.overrunning(fraction, spent, left)):
            crew.stop(progress.step, reason)
            return
        missing = schedule.remaining(
            [self.estimates.get(name, 0.0) for name in waiting],
            [(self.estimates.get(name, 0.0), *standing) for name, standing in running.items()],
            self.workshop.workers,
        )
        step = f"candidate {progress.step}" if self.judged else "analyse"
        scale = 1.0 if self.judged else 0.2
        self.workshop.reporter.step(step, scale * fraction, progress.message, min(missing, max(left, 0.0)))

    def _say(self, name: str, settled: Finished) -> None:
        if self.judged:
            message = settled.reason or "taken from the build that was interrupted"
            self.workshop.reporter.step(f"candidate {name}", 1.0, message)


def _last_word(candidate: Candidate, finished: Mapping[str, Finished]) -> Finished:
    reason = schedule.pointless(candidate, finished)
    return Finished("skipped", reason) if reason else finished[candidate.name]


def _from(record: Record) -> Finished:
    return Finished("failed", record.failure, record) if record.failure else Finished("built", record=record)


def _failure(ended: Ended) -> str:
    if ended.code == _KILLED:
        return "its process was killed, as happens when memory runs out; give the build more, or a smaller model"
    if ended.code < 0:
        return f"its process ended by signal {-ended.code} ({ended.last_words or 'no last words'})"
    return f"cannot be built or run: {ended.last_words or f'exit code {ended.code}'}"
