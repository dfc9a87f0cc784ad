"""Puts the report together: headline, tiles, tables and figures in one HTML page that needs nothing else."""

from html import escape

from slipstream_builder import words
from slipstream_builder.measuring.latency import SERVED_BATCH
from slipstream_builder.outcome import BuildReport
from slipstream_builder.report import load_plots, plots, reasons, tables
from slipstream_builder.report.style import CSS
from slipstream_builder.summarise import headline, speedup_and_ratio
from slipstream_contract.load import LoadReport


def render(report: BuildReport, load: LoadReport | None) -> str:
    """Return the report as one HTML document; with `load`, what serving measured is in it too."""
    body = "".join(
        (
            f"<p class=name>{escape(report.name)}</p><h1>{escape(headline(report, *speedup_and_ratio(report)))}</h1>",
            _tiles(report, load),
            "<h2>Before and after</h2>",
            tables.before_after(report, load),
            reasons.bottleneck(report),
            reasons.gate(report),
            _figures(report),
            _load(load) if load else "",
            "<h2>Every candidate</h2>",
            tables.candidates(report),
            "".join(f"<p class=muted>Note: {escape(note)}.</p>" for note in report.notes),
            _footer(report),
        )
    )
    return (
        f"<!doctype html>\n<html lang=en><head><meta charset=utf-8><title>{escape(report.name)}: Slipstream report"
        f'</title><meta name=viewport content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><style>{CSS}</style></head>'
        f"<body><main>{body}</main></body></html>\n"
    )


def _tiles(report: BuildReport, load: LoadReport | None) -> str:
    chosen = report.candidate(report.chosen)
    speedup, ratio = speedup_and_ratio(report)
    tiles = [
        (f"{speedup:.1f}x", f"faster at batch {SERVED_BATCH}"),
        (f"{1 / ratio:.1f}x", f"smaller, C = {ratio:.3f}"),
    ]
    if report.gate and chosen.drop is not None and chosen.drop_bound is not None:
        kind = "gained" if words.is_gain(chosen.drop) else "lost"
        tiles.append(
            (f"{abs(chosen.drop):.2%}", f"of {report.gate.metric} {kind}, at most {chosen.drop_bound:.2%} lost")
        )
    if load:
        tiles.append((words.count(round(load.after.requests_per_second)), "requests a second from one replica"))
    tiles.append((report.analysis.bottleneck, "is the original's bottleneck"))
    return (
        "<div class=tiles>"
        + "".join(f"<div class=tile><b>{escape(value)}</b><span>{escape(text)}</span></div>" for value, text in tiles)
        + "</div>"
    )


def _figures(report: BuildReport) -> str:
    parts = ["<h2>Where the candidates stand</h2>"]
    if (accuracy := plots.accuracy_against_latency(report)) is not None and report.gate is not None:
        caption = (
            f"Each point is a candidate; the bar reaches up to the most it may lose at {report.gate.confidence:.0%} "
            "confidence. A candidate serves only if its whole bar lies below the dashed line and the other gates hold; "
            "the ring marks the chosen one, and the dotted line joins those that were kept."
        )
        parts.append(_figure(accuracy, caption))
    parts.append(
        _figure(
            plots.latency_against_batch(report),
            "Measured medians, all variants taking turns, on the fitted lines T(b) = alpha + beta b.",
        )
    )
    return "".join(parts)


def _load(load: LoadReport) -> str:
    figure = load_plots.load_over_time(load)
    events = "".join(
        f"<li><b>{event.second:.0f} s</b> {event.before} → {event.after} replicas: {escape(event.reason)}</li>"
        for event in load.events
    )
    return (
        "<h2>Under load</h2>"
        + (_figure(figure, "A rising and falling load; vertical lines are scaling decisions.") if figure else "")
        + (f'<ol class="events muted">{events}</ol>' if events else "")
    )


def _figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def _footer(report: BuildReport) -> str:
    tools = ", ".join(f"{name} {version}" for name, version in sorted(report.tools.items()))
    digests = ", ".join(f"{role} {digest}" for role, digest in sorted(report.inputs.items()))
    features = ", ".join(report.cpu_features) or "none of note"
    threads = f"{report.threads} thread{'s' if report.threads > 1 else ''}"
    return (
        f"<footer>Measured on {report.accelerator} with {threads} (processor features: {escape(features)}).<br>"
        f"Recipe {report.recipe_digest}<br>SHA-256: {escape(digests)}<br>{escape(tools)}</footer>"
    )
