"""Errors of the shared contract.

ContractError       a document (recipe, manifest, summary) is not what its type says
"""


class ContractError(ValueError):
    """A document does not match its type; the message names the field and what was expected."""
