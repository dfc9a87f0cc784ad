"""docs/benchmarks.md, where each benchmark writes its tables between two marks."""

from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
END = "<!-- to here -->"


def rewrite(command: str, text: str, page: Path = PAGE) -> None:
    """Replace what stands between the marks of the make target `command`.

    Raises:
        ValueError: the marks are not there.
    """
    mark = f"<!-- {command} writes from here -->"
    before, begin, rest = page.read_text().partition(mark)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page}: the marks {mark!r} and {END!r} are missing; put them where the table goes")
    page.write_text(f"{before}{mark}\n\n{text}\n\n{END}{after}")
