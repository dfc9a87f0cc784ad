"""Errors of the operator and the command line.

SlipstreamError             something a person must hear of; carries the exit code
  ManifestError             an AgentDeployment is wrong; one problem a line
  MachineError              the machine lacks something (a port, a program, disk space)
  BuildError                the builder ended without an artifact
  ServingError              a replica cannot be brought up
  ClusterError              the API server refused or did not answer; carries the HTTP status
"""


class SlipstreamError(Exception):
    """Base of all errors a person sees; `exit_code` is the command's."""

    exit_code = 1


class ManifestError(SlipstreamError):
    """The manifest is wrong; the message names the field, what is wrong and what to write."""

    exit_code = 2


class MachineError(SlipstreamError):
    """The machine lacks something; the message says what and how to provide it."""

    exit_code = 2


class BuildError(SlipstreamError):
    """The builder ended without an artifact; the message is the builder's own line."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class ServingError(SlipstreamError):
    """A replica cannot be brought up; the message carries its last line."""


class ClusterError(SlipstreamError):
    """The API server refused a call or did not answer; `status` is 0 when there was no answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status
