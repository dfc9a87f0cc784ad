"""Puts a finished build, or one that failed, into the summary the operator reads; pure."""

from slipstream_builder import words
from slipstream_builder.measuring.latency import SERVED_BATCH
from slipstream_builder.outcome import BuildReport, Outcome
from slipstream_contract.manifest import LatencyCurve, Manifest
from slipstream_contract.summary import BuildSummary, MetricSummary, Reason, VariantSummary

_DIGITS = 6


def succeeded(report: BuildReport, manifest: Manifest, artifact_digest: str) -> BuildSummary:
    """Return the summary of a build that made the artifact `artifact_digest`."""
    chosen, baseline = manifest.variant(manifest.chosen), manifest.variant(manifest.baseline)
    speedup = baseline.latency.measured_seconds(SERVED_BATCH) / chosen.latency.measured_seconds(SERVED_BATCH)
    outcome = report.candidate(report.chosen)
    return BuildSummary(
        reason="Succeeded",
        message=headline(report, speedup, chosen.compression_ratio),
        recipe_digest=report.recipe_digest,
        artifact_digest=artifact_digest,
        source_sha256=manifest.source_sha256,
        chosen=manifest.chosen,
        baseline=manifest.baseline,
        variants=tuple(
            VariantSummary(variant.name, variant.file.bytes, _rounded(variant.latency)) for variant in manifest.variants
        ),
        metric=_metric(report, outcome),
        compression_ratio=chosen.compression_ratio,
        speedup=speedup,
        bottleneck=report.analysis.bottleneck,
        candidates_tried=sum(outcome.status != "skipped" for outcome in report.candidates),
        candidates_passed=sum(outcome.status in ("kept", "passed") for outcome in report.candidates),
    )


def failed(reason: Reason, message: str, recipe_digest: str) -> BuildSummary:
    """Return the summary of a build that made nothing."""
    return BuildSummary(reason=reason, message=" ".join(message.split()), recipe_digest=recipe_digest)


def speedup_and_ratio(report: BuildReport) -> tuple[float, float]:
    """Return how many times faster the chosen variant is at batch 32, and C = P'/P; 1 where nothing was measured."""
    before, after = report.candidate(report.baseline), report.candidate(report.chosen)
    speedup = ratio = 1.0
    if before.latency and after.latency:
        speedup = before.latency.measured_seconds(SERVED_BATCH) / after.latency.measured_seconds(SERVED_BATCH)
    if before.bytes and after.bytes:
        ratio = after.bytes / before.bytes
    return speedup, ratio


def headline(report: BuildReport, speedup: float, ratio: float) -> str:
    """Return what the build achieved, in a sentence."""
    chosen = report.candidate(report.chosen)
    if report.chosen == report.baseline:
        tried = sum(outcome.status != "skipped" for outcome in report.candidates) - 1
        why = f"none of the {tried} candidates tried is faster and passes every gate" if tried else report.plan
        if not tried and len(report.candidates) > 1:
            why = f"no candidate was built to its end ({report.candidates[1].reason})"
        return f"The optimised original serves: {why}."
    sentence = (
        f"{report.chosen} runs {speedup:.1f} times faster than the optimised original at batch {SERVED_BATCH} "
        f"and is {1 / ratio:.1f} times smaller"
    )
    if report.gate is None or chosen.drop is None or chosen.drop_bound is None:
        return f"{sentence}."
    change = f"{'gains' if words.is_gain(chosen.drop) else 'loses'} {abs(chosen.drop):.2%}"
    return (
        f"{sentence}; it {change} of {report.gate.metric}, "
        f"and with {report.gate.confidence:.0%} confidence loses no more than {chosen.drop_bound:.2%}."
    )


def _metric(report: BuildReport, outcome: Outcome) -> MetricSummary | None:
    source, metric = report.source_metric, outcome.metric
    if report.gate is None or source is None or metric is None or outcome.drop is None or outcome.drop_bound is None:
        return None
    return MetricSummary(
        name=report.gate.metric,
        baseline=source.value,
        value=metric.value,
        low=metric.low,
        high=metric.high,
        drop=outcome.drop,
        drop_bound=outcome.drop_bound,
    )


def _rounded(curve: LatencyCurve) -> LatencyCurve:
    """Drop digits that no clock measured, so that four variants fit a pod's message."""
    points = tuple((batch, float(f"{seconds:.{_DIGITS}g}")) for batch, seconds in curve.points)
    alpha, beta, residual = (
        float(f"{value:.{_DIGITS}g}") for value in (curve.alpha_seconds, curve.beta_seconds, curve.residual)
    )
    return LatencyCurve(alpha, beta, residual, points)
