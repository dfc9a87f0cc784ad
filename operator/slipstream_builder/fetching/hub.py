"""Finds where a file of the Hugging Face Hub is, and the token that opens it.

`huggingface_hub` names the address and finds the token; the bytes come through `web`, because the library's own file
system checks no address, follows any redirect and bounds neither time nor size.
"""

from collections.abc import Mapping

from huggingface_hub import get_token, hf_hub_url

from slipstream_builder.fetching.addresses import HubFile
from slipstream_builder.fetching.credentials import Secret

DENIED = "no such repository, or it is private or gated: give a secret with HF_TOKEN whose user may read it"
_ENDPOINT = "https://huggingface.co"


def url_of(file: HubFile, environ: Mapping[str, str]) -> str:
    """Return the web address of `file` at HF_ENDPOINT, by default the public hub."""
    return hf_hub_url(
        file.repository,
        file.path,
        repo_type=file.kind,
        revision=file.revision,
        endpoint=environ.get("HF_ENDPOINT") or _ENDPOINT,
    )


def authorization(secret: Secret | None) -> str | None:
    """Return the header that opens the hub: from `secret` if there is one, else from the environment or a login.

    Raises:
        TransferError: the secret holds no token.
    """
    token = secret.need("HF_TOKEN", "token") if secret else get_token()
    return f"Bearer {token}" if token else None
