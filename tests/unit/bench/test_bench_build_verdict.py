"""What the builder's benchmark calls kept and missed, and the table it writes."""

import dataclasses
import json

import pytest
from bench.build import cases, table, verdict
from bench.build.results import CaseResult, Entry, Results
from bench.shared import page
from bench.shared.machine import Machine
from bench.shared.results import write

from slipstream_builder.measuring.latency import Timing

CASE = cases.Case("recommender", "Recommender", "ndcg@10", 60, speed=5.0, size=6.0, build_seconds=600)
MACHINE = Machine("a processor", 2, 8 << 30, ("avx2",), "Linux 6", {"onnxruntime": "1.32"})


def entry(name, ratio, size, *, passed=True, ours_over_it=None, **changes):
    timings = tuple(Timing(batch, ratio, ratio * 0.9, ratio * 1.1) for batch in (1, 32))
    over = Timing(32, ours_over_it, ours_over_it * 0.95, ours_over_it * 1.05) if ours_over_it else None
    whole = Entry(name, (), passed, "a reason", size, 0.3, 0.001, 0.004, timings, over)
    return dataclasses.replace(whole, **changes)


def result(*peers, ours=None, **changes):
    ours = ours or entry("Slipstream", 0.1, 1_000_000)
    whole = CaseResult(
        "recommender", "2026-01-01", 900, 0.3, 10_000_000, 10_000_000, {"1": 1.0, "32": 20.0}, 100.0, 1 << 30,
        (ours, *peers), MACHINE,
    )  # fmt: skip
    return dataclasses.replace(whole, **changes)


def test_a_result_that_reaches_everything_misses_nothing():
    assert verdict.misses(CASE, result(entry("other", 0.2, 2_000_000, ours_over_it=0.5))) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (result(ours=entry("Slipstream", 0.25, 1_000_000)), "4.00x faster, not 5x"),
        (result(ours=entry("Slipstream", 0.1, 2_000_000)), "5.00x smaller, not 6x"),
        (result(ours=entry("Slipstream", 0.1, 1_000_000, passed=False)), "a gate failed (a reason)"),
        (result(ours=entry("Slipstream", 0.1, 1_000_000, bound=0.011)), "loss is not bounded by 1%"),
        (result(ours=entry("Slipstream", 0.1, 1_000_000, bound=None)), "loss is not bounded by 1%"),
        (result(build_seconds=601.0), "the build took 601 s, more than 600 s"),
        (result(build_peak_bytes=4 << 30), "the build held 4.00 GiB, more than 3.06"),
        (result(entry("other", 0.05, 2_000_000, ours_over_it=2.0)), "slower than other (0.50x its speed)"),
    ],
)
def test_whatever_falls_short_is_named_with_both_figures(changed, words):
    assert verdict.misses(CASE, changed) == [words]


def test_a_faster_tool_that_fails_a_gate_is_no_rival():
    assert verdict.misses(CASE, result(entry("other", 0.05, 2_000_000, passed=False, ours_over_it=2.0))) == []


def test_a_rival_within_the_noise_is_not_faster():
    assert verdict.misses(CASE, result(entry("other", 0.1, 2_000_000, ours_over_it=1.04))) == []


def test_the_last_line_fails_for_a_model_that_was_not_measured():
    kept, line = verdict.line(Results((result(),)), ("recommender", "encoder"))
    assert not kept
    assert line == "build: failed encoder: was not measured"


def test_what_could_not_be_measured_fails_even_after_a_good_run():
    kept, line = verdict.line(Results((result(),)), ("recommender",), ["recommender: no network"])
    assert not kept
    assert line == "build: failed recommender: no network"


def test_the_last_line_says_ok_with_the_figures():
    assert verdict.line(Results((result(),)), ("recommender",)) == (
        True,
        "build: ok recommender 10.0x faster 10.0x smaller",
    )


def test_results_survive_the_file_and_merge_by_model(tmp_path):
    first = result(entry("other", 0.2, 2_000_000, ours_over_it=0.5))
    second = dataclasses.replace(first, name="encoder")
    merged = Results().merged(second, ("recommender", "encoder")).merged(first, ("recommender", "encoder"))
    write(merged, tmp_path / "results.json")
    assert [case["name"] for case in json.loads((tmp_path / "results.json").read_text())["cases"]] == [
        "recommender",
        "encoder",
    ]
    assert Results.read(tmp_path / "results.json") == merged


def test_the_table_replaces_only_what_stands_between_the_marks(tmp_path):
    file = tmp_path / "page.md"
    file.write_text(f"before\n<!-- make x writes from here -->\nold\n{page.END}\nafter\n")
    page.rewrite("make x", table.render(Results((result(Entry("other", (), False, "it did not install")),))), file)
    text = file.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert (
        "| Slipstream | 10.00x (9.09 to 11.11) | 10.00x (9.09 to 11.11) | 10.00x | 0.3000 | 0.10%, 0.40% | passed |"
        in text
    )
    assert "| other | - | - | - | - | - | it did not install |" in text


def test_a_page_without_marks_is_left_alone(tmp_path):
    file = tmp_path / "page.md"
    file.write_text("nothing to replace")
    with pytest.raises(ValueError, match="marks"):
        page.rewrite("make x", "a table", file)
    assert file.read_text() == "nothing to replace"
