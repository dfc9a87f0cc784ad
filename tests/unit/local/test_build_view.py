import io

from rich.console import Console

from slipstream_contract.progress import Progress
from slipstream_operator.local.lines import LineView
from slipstream_operator.local.live import BuildView, build_panel

SIDE_BY_SIDE = [
    Progress("analyse", 1.0, "Compute-bound"),
    Progress("candidate a", 0.1, "pruning", 300.0),
    Progress("candidate b", 0.2, "calibrating", 299.0),
    Progress("candidate a", 0.5, "recovering", 250.0),
]


def drawn(renderable):
    console = Console(file=io.StringIO(), width=100, force_terminal=False)
    console.print(renderable)
    return console.file.getvalue()


def test_candidates_built_side_by_side_have_a_row_each_with_their_latest_word():
    text = drawn(build_panel("agent", 12.0, SIDE_BY_SIDE, "starting"))
    assert [text.count(words) for words in ("candidate a", "candidate b", "pruning", "recovering")] == [1, 1, 0, 1]
    assert text.index("candidate a") < text.index("candidate b")
    assert "about 4 min left" in text


def test_a_build_that_has_said_nothing_yet_says_what_it_waits_for():
    assert "starting the builder" in drawn(build_panel("agent", 0.0, [], "starting the builder"))


def test_the_live_view_of_a_lone_build_shows_its_steps():
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    with BuildView(console, "agent") as view:
        view.show_progress(12.0, SIDE_BY_SIDE)
    assert "calibrating" in console.file.getvalue()


def test_lines_say_how_long_it_will_still_take_where_that_is_known():
    lines = []
    LineView(lines.append).show_progress(12.0, SIDE_BY_SIDE[:2])
    assert "left" not in lines[0]
    assert lines[1].endswith("pruning (about 300 s left)")
