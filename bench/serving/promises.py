"""The figures that were promised, and whether the measured ones keep them; pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from bench.serving.cases import cache, encoder, heavy, memory, overload, small
from bench.serving.contenders import OURS
from bench.serving.results import BARE, CaseResult, Results

CASES = {
    "small": small.measure,
    "heavy": heavy.measure,
    "encoder": encoder.measure,
    "cache": cache.measure,
    "overload": overload.measure,
    "memory": memory.measure,
}
TITLES = {
    "small": "Small model: what a server costs",
    "heavy": "A model of about 5 ms a batch",
    "encoder": "Sentence encoder, sentences of mixed length",
    "cache": "Cache",
    "overload": "Open loop at ten times what it can do",
    "memory": "Memory",
}


@dataclass(frozen=True)
class Promise:
    """A bound on what `value` finds in a case's result; `words` is a format string that the value is put into."""

    case: str
    words: str
    bound: float
    value: Callable[[CaseResult], float | None]
    at_least: bool = True

    def kept(self, result: CaseResult) -> bool:
        """Return whether the result keeps it."""
        found = self.value(result)
        return found is not None and (found >= self.bound if self.at_least else found <= self.bound)

    def found(self, result: CaseResult) -> str:
        """Return what was found, in words."""
        value = self.value(result)
        if value is None:
            return f"no figure for '{self.words.format('N')}'"
        return self.words.format(f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}")

    def wanted(self) -> str:
        """Return the bound in words."""
        return f"at {'least' if self.at_least else 'most'} {self.bound:g}"


def _ratio(other: str, quantity: str, ours: str = OURS) -> Callable[[CaseResult], float | None]:
    return lambda result: result.ratio(ours, other, quantity)


def _median(quantity: str) -> Callable[[CaseResult], float | None]:
    return lambda result: result.median(OURS, quantity)


def added(quantity: str, result: CaseResult) -> float | None:
    """Return how much more ours has of `quantity` than the bare session, by the medians of the rounds."""
    ours, bare = result.median(OURS, quantity), result.median(BARE, quantity)
    return None if ours is None or bare is None else ours - bare


_TIMES = (("mosec", 1.6), ("PyTriton", 5), ("LitServe", 10), ("MLServer", 10), ("BentoML", 10), ("Ray Serve", 10))

PROMISES = (
    *(Promise("small", f"{{}}x {peer} in JSON", bound, _ratio(peer, small.JSON)) for peer, bound in _TIMES),
    Promise(
        "small", "{} ms over the bare session at one connection", 0.333, partial(added, small.ALONE), at_least=False
    ),
    Promise("heavy", "{} of the bare session's rows/s", 0.92, _ratio(BARE, heavy.RATE)),
    Promise("encoder", "{}x mosec", 1.3, _ratio("mosec", encoder.RATE)),
    Promise("cache", "{}x the uncached rate at hits", 1.5, _ratio(cache.UNCACHED, cache.HITS, cache.CACHED)),
    Promise("overload", "goodput {} % of the peak", 95, _median(overload.GOODPUT)),
    Promise("overload", "accepted p99 {} ms", overload.DEADLINE_MILLISECONDS, _median(overload.ACCEPTED), False),
    Promise("overload", "refusals p99 {} ms", 10, _median(overload.REFUSED), False),
    Promise("overload", "back to normal in {} s", 5, _median(overload.RECOVERY), False),
    Promise("memory", "{} MiB over the bare session", 120, partial(added, memory.HELD), at_least=False),
)


def line(results: Results, names: Sequence[str], broken: Sequence[str] = ()) -> tuple[bool, str]:
    """Return whether the cases `names` keep all promises with nobody failing, and the one line that says so.

    `broken` says what could not be measured at all this time, whatever an earlier run found.
    """
    missed, kept = list(broken), []
    for name in names:
        result = results.case(name)
        if result is None:
            missed.append(f"{name}: was not measured")
            continue
        missed += [f"{name}: {contender} {reason}" for contender, reason in result.failures.items()]
        for promise in of(name):
            if promise.kept(result):
                kept.append(promise.found(result))
            else:
                missed.append(f"{name}: {promise.found(result)}, not {promise.wanted()}")
    if missed:
        return False, f"serving: failed {'; '.join(missed)}"
    return True, f"serving: ok {', '.join(kept)}"


def of(name: str) -> tuple[Promise, ...]:
    """Return the promises of a case."""
    return tuple(promise for promise in PROMISES if promise.case == name)
