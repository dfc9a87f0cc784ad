"""The model card: what is served, what was proved of it, and how to call it. Pure."""

from typing import Any

from slipstream_contract.manifest import Manifest, Variant
from slipstream_runtime.rest.pages.examples import commands
from slipstream_runtime.rest.pages.metadata import tensor
from slipstream_runtime.rest.pages.served import Served


def card(served: Served, base: str) -> dict[str, Any]:
    """Return the card as a JSON document; `base` is the address that its examples call."""
    manifest = served.manifest
    lines = commands(served.signature, served.model, base, keys=served.keys)
    return {
        "model": served.model,
        "artifact": f"sha256:{served.digest}",
        "source": f"sha256:{manifest.source_sha256}",
        "metric": manifest.metric,
        "variant": served.variant(),
        "variants": [_variant(manifest, variant) for variant in manifest.variants],
        "inputs": [tensor(spec) for spec in manifest.inputs],
        "outputs": [tensor(spec) for spec in manifest.outputs],
        "examples": [{"title": title, "command": command} for title, command in lines],
    }


def _variant(manifest: Manifest, variant: Variant) -> dict[str, Any]:
    metric = variant.metric
    return {
        "name": variant.name,
        "baseline": variant.name == manifest.baseline,
        "techniques": list(variant.techniques),
        "parameters": variant.parameters,
        "bytes": variant.file.bytes,
        "compressionRatio": variant.compression_ratio,
        "metric": None if metric is None else {"value": metric.value, "low": metric.low, "high": metric.high},
        "drop": variant.drop,
        "dropBound": variant.drop_bound,
        "latency": {"alphaSeconds": variant.latency.alpha_seconds, "betaSeconds": variant.latency.beta_seconds},
    }
