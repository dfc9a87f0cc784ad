"""Errors of the runtime.

StartError              the replica cannot start: exit code 2 and one line that names the file or option
ServingError            an answer other than 200; the class carries the HTTP code
├── BadRequestError     400  the request is malformed or does not fit the model
├── AuthenticationError 401  no bearer token came with the request, or one that is not known
├── ForbiddenError      403  the caller is known and may not use this model
├── NotFoundError       404  no such model, version or page
├── NotAllowedError     405  the page exists, the method does not
├── BodyTooLargeError   413  the body is over the cap
├── EncodingError       415  the body is compressed in a way that is not served
├── OverloadedError     429  the predicted wait is past the request's deadline
├── ModelFailedError    500  the model failed on this request, or its answer is not finite
│   └── StuckError      500  the model took so long that its run was stopped
├── UnsupportedError    501  the protocol has it, this replica does not
├── UnavailableError    503  what is needed to answer is away for now
└── DeadlineError       504  the deadline passed while the request waited
"""


class StartError(Exception):
    """The replica cannot start; the message is one line that says what to do."""


class ServingError(Exception):
    """A request that is not answered with 200; the message is safe to show to the caller."""

    code = 500


class BadRequestError(ServingError):
    """The request is malformed or does not fit the model."""

    code = 400


class AuthenticationError(ServingError):
    """The request has no bearer token, or one that is not known; the answer carries `WWW-Authenticate: Bearer`."""

    code = 401


class ForbiddenError(ServingError):
    """The caller is known and may not use this model."""

    code = 403


class NotFoundError(ServingError):
    """There is no such model, version or page."""

    code = 404


class NotAllowedError(ServingError):
    """The page exists, but not for this method."""

    code = 405


class BodyTooLargeError(ServingError):
    """The body is larger than the replica accepts."""

    code = 413


class EncodingError(ServingError):
    """The body's content encoding is not served."""

    code = 415


class OverloadedError(ServingError):
    """The predicted wait is past the request's deadline; `retry_after` is in seconds."""

    code = 429

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ModelFailedError(ServingError):
    """The model failed on this request."""

    code = 500


class StuckError(ModelFailedError):
    """The model took so long that its run was stopped."""


class UnsupportedError(ServingError):
    """The protocol has what was asked for, this replica does not."""

    code = 501


class UnavailableError(ServingError):
    """What is needed to answer is away for now; `retry_after` is in seconds."""

    code = 503

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DeadlineError(ServingError):
    """The request's deadline passed before its batch started."""

    code = 504
