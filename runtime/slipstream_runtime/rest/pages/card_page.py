"""Shows the model card to people. Pure."""

from html import escape
from typing import Any

from slipstream_runtime.rest.pages.markup import block, page, table


def card_page(card: dict[str, Any]) -> str:
    """Return the HTML page of the card."""
    links = '<a href="/docs">All pages</a> · <a href="/openapi.json">OpenAPI document</a>'
    parts = [
        f"<h1>{escape(card['model'])}</h1>",
        f'<p class="lead">Served by Slipstream as variant <b>{escape(card["variant"])}</b>. {links}</p>',
        "<h2>Variants</h2>",
        _variants(card),
        _explained(card),
        "<h2>Inputs and outputs</h2>",
        _tensors(card),
        "<h2>Try it</h2>",
        *(f"<p>{escape(one['title'])}</p>{block(one['command'])}" for one in card["examples"]),
        "<h2>Artifact</h2>",
        f'<p><code class="digest">{escape(card["artifact"])}</code><br>built from '
        f'<code class="digest">{escape(card["source"])}</code></p>',
    ]
    return page(f"{card['model']} · Slipstream", "".join(parts))


def _variants(card: dict[str, Any]) -> str:
    metric = card["metric"]
    heads = ["Variant", "Size", "C = P'/P", *([metric, "95 % interval", "Loss"] if metric else []), "T(1)", "T(b)"]
    rows = [_variant(one, measured=bool(metric)) for one in card["variants"]]
    names = [one["name"] for one in card["variants"]]
    return table(heads, rows, names.index(card["variant"]))


def _variant(one: dict[str, Any], *, measured: bool) -> list[str]:
    metric, alpha, beta = one["metric"], one["latency"]["alphaSeconds"], one["latency"]["betaSeconds"]
    found = ["", "", ""]
    if metric is not None:
        loss = "" if one["drop"] is None else f"{one['drop']:+.2%}"
        found = [f"{metric['value']:.4f}", f"{metric['low']:.4f} to {metric['high']:.4f}", loss]
    return [
        one["name"],
        _size(one["bytes"]),
        f"{one['compressionRatio']:.3f}",
        *(found if measured else []),
        _time(alpha + beta),
        f"{_time(alpha)} + b · {_time(beta)}",
    ]


def _explained(card: dict[str, Any]) -> str:
    parts = [
        "Size is that of the model file, C its share of the original's. ",
        "T(b) is the time of a batch of b rows ",
    ]
    parts.append("where the artifact was built.")
    if card["metric"] is None:
        parts.append(" There was no validation set, so that no accuracy was measured.")
    return f'<p class="lead">{escape("".join(parts))}</p>'


def _tensors(card: dict[str, Any]) -> str:
    kinds = [("input", one) for one in card["inputs"]] + [("output", one) for one in card["outputs"]]
    rows = [[kind, one["name"], one["datatype"], str(one["shape"])] for kind, one in kinds]
    return table(["", "Name", "Datatype", "Shape (-1: any)"], rows)


def _size(count: int) -> str:
    if count < 10_000:
        return f"{count} B"
    return f"{count / 1024:.0f} KiB" if count < 1 << 20 else f"{count / (1 << 20):.1f} MiB"


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:.3g} µs" if seconds < 1e-3 else f"{seconds * 1e3:.3g} ms"
