"""Where a spec's files come from, as far as a cluster can fetch them."""

from slipstream_operator.api.spec import AgentSpec, claim_of
from slipstream_operator.errors import ManifestError


def claims(spec: AgentSpec) -> tuple[str, ...]:
    """Return the PersistentVolumeClaims that the build reads, each once.

    Raises:
        ManifestError: a source is not one that a pod can read.
    """
    fields = {"spec.model.uri": spec.model.uri}
    if spec.validation is not None and spec.validation.dataset is not None:
        fields["spec.validation.dataset.uri"] = spec.validation.dataset.uri
    if spec.unlabelled is not None:
        fields["spec.compression.dataset.uri"] = spec.unlabelled.uri
    found = [_claim(field, uri) for field, uri in fields.items()]
    return tuple(sorted({claim for claim in found if claim is not None}))


def _claim(field: str, uri: str) -> str | None:
    if uri.startswith("file:") or ":" not in uri:
        raise ManifestError(
            f"{field}: {uri}: a pod cannot read files of your machine; put the file into a volume and write "
            "pvc://CLAIM/PATH, or give an s3:, gs: or https: URI"
        )
    try:
        return claim_of(uri)
    except ManifestError as error:
        raise ManifestError(f"{field}: {error}") from error
