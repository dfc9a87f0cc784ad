"""Says what an object store's failure means; the store's own text may hold keys and signatures, so it stays out."""

import re

from obstore.exceptions import (
    InvalidPathError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)

from slipstream_builder.fetching.transfer import BrokenOffError, TransferError

UNFIT = "the address or the credentials have a form that the store does not take; check both"
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z]{1,40})</Code>")
_REGION = re.compile(r"<Region>([a-z0-9-]{1,30})</Region>")
_BAD_CERTIFICATE = re.compile(r"certificate|UnknownIssuer", re.IGNORECASE)
_SILENCE = re.compile(r"kind: Timeout|timed out", re.IGNORECASE)
_TRANSIENT = ("408", "429", "500", "502", "503", "504")


def explained(error: Exception, endpoint: str, denied: str) -> TransferError | BrokenOffError:
    """Return what obstore's `error` means; `denied` is what to do where access is denied."""
    text = str(error)
    code = found[1] if (found := _CODE.search(text)) else ""
    if isinstance(error, FileNotFoundError):
        return TransferError(_missing(code, denied))
    if isinstance(error, PermissionDeniedError | UnauthenticatedError):
        return TransferError(f"access denied{_in_brackets(code)}; {denied}")
    if isinstance(error, PreconditionError):
        return BrokenOffError("the object changed while it was read")
    if isinstance(error, InvalidPathError | ValueError):
        return TransferError(UNFIT)
    return _by_text(text, code, endpoint)


def _missing(code: str, denied: str) -> str:
    if code == "NoSuchBucket":
        return "no such bucket; check the address and the endpoint"
    if code in ("", "NoSuchKey"):
        return "no such object; check the address and the endpoint"
    return f"not found{_in_brackets(code)}; check the address, and {denied}"


def _by_text(text: str, code: str, endpoint: str) -> TransferError | BrokenOffError:
    status = found[1] if (found := _STATUS.search(text)) else ""
    if code in ("AuthorizationHeaderMalformed", "PermanentRedirect") or "LOCATION" in text:
        right = f" to {found[1]}" if (found := _REGION.search(text)) else ""
        return TransferError(f"the bucket is in another region; set AWS_REGION{right}")
    if status and status not in _TRANSIENT:
        return TransferError(
            f"{endpoint} answers HTTP {status}{_in_brackets(code)}; check the address and the endpoint"
        )
    if status:
        return BrokenOffError(f"{endpoint} answers HTTP {status}{_in_brackets(code)}")
    if _BAD_CERTIFICATE.search(text):
        return TransferError(
            f"the certificate of {endpoint} is not trusted; put its authority into the secret as ca.crt"
        )
    if _SILENCE.search(text):
        return BrokenOffError(f"{endpoint} was silent, or too slow")
    return BrokenOffError(f"the connection to {endpoint} failed or broke off")


def _in_brackets(code: str) -> str:
    return f" ({code})" if code else ""
