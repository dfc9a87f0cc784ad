"""Figures as inline SVG whose colours are the page's own, so that they follow light, dark and print."""

import io
import re
from contextlib import AbstractContextManager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Matplotlib cannot write CSS variables: it draws in these stand-ins, which are then replaced.
INK, MUTED, LINE = "#010203", "#010204", "#010205"
ACCENT, GOOD, BAD, IDLE, WARM, CARD = "#010206", "#010207", "#010208", "#010209", "#01020a", "#01020b"
_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    LINE: "line",
    ACCENT: "accent",
    GOOD: "good",
    BAD: "bad",
    IDLE: "idle",
    WARM: "warm",
    CARD: "card",
}
SERIES = (ACCENT, WARM, GOOD, BAD, IDLE)
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": LINE,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "grid.color": LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "path.simplify": True,
}


def style(axes: Axes) -> None:
    """Give `axes` a quiet grid and no tick marks."""
    axes.grid(visible=True, linewidth=0.6)
    axes.tick_params(length=0, which="both")
    axes.set_facecolor("none")


def settings() -> AbstractContextManager[None]:
    """Return a context in which figures take the report's style."""
    return mpl.rc_context(_SETTINGS)


def svg(figure: Figure, name: str, description: str) -> str:
    """Return `figure` as an SVG element, its ids made unique by `name`, described for readers who cannot see it."""
    buffer = io.StringIO()
    with mpl.rc_context({**_SETTINGS, "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'font: ([\d.]+)px [^;"]*', r"font: \1px inherit; font-family: inherit; font-size: \1px", text)
    text = re.sub(r'id="([a-z]+_?\d+|patch_\d+)"', rf'id="{name}-\1"', text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{description}" ', 1)
