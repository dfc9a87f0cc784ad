"""Writes HTML that needs nothing from anywhere else: no script, no font, no network. Pure."""

from collections.abc import Iterable
from html import escape

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --accent: #2563eb; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
p.lead { margin-top: 0; opacity: .75; } a { color: var(--accent); }
table { border-collapse: collapse; width: 100%; display: block; overflow-x: auto; }
th, td { text-align: left; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
td.text { white-space: normal; } tr.current td { font-weight: 600; }
code, pre { font: 13px/1.45 ui-monospace, monospace; } code.digest { overflow-wrap: anywhere; }
pre { background: var(--soft); padding: .8rem; border-radius: 6px; overflow-x: auto; }
details { border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; } .method { display: inline-block; min-width: 3.2rem; font-weight: 600; }
.POST { color: #15803d; } .GET { color: var(--accent); }
"""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""The content security policy of every page: even if text of a model's author got through, no browser would run it."""

Cell = str | float | int | None


def page(title: str, body: str) -> str:
    """Return a whole page around `body`, which is HTML."""
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    return f'<!doctype html><html lang="en"><head>{head}<style>{STYLE}</style></head><body>{body}</body></html>\n'


def table(heads: Iterable[str], rows: Iterable[Iterable[Cell]], current: int = -1) -> str:
    """Return a table of texts; the row `current` stands out."""
    lines = [_row("th", heads, "")]
    for index, row in enumerate(rows):
        lines.append(_row("td", row, ' class="current"' if index == current else ""))
    return f"<table>{''.join(lines)}</table>"


def block(text: str) -> str:
    """Return `text` as it stands, as a block."""
    return f"<pre>{escape(text)}</pre>"


def _row(tag: str, cells: Iterable[Cell], attributes: str) -> str:
    filled = "".join(f"<{tag}>{'' if cell is None else escape(str(cell))}</{tag}>" for cell in cells)
    return f"<tr{attributes}>{filled}</tr>"
