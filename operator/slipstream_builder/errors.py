"""Errors of the builder; each carries the reason code that ends up in the build summary.

BuilderError        anything that ends a build or a candidate, in words
  SourceError       the model cannot be fetched, is unsafe, or cannot be built from
  ValidationError   the validation or unlabelled data cannot decide the gate
  RecipeError       the recipe is not one, or asks for what there is not
  DiskFullError     the store or the work folder has no space left
  OutOfTimeError    the time ran out before anything could be served
  TechniqueError    this candidate cannot be built; the build goes on without it
"""

from typing import ClassVar

from slipstream_contract.summary import Reason


class BuilderError(Exception):
    """The build cannot go on; the message names what is wrong and what to do next."""

    reason: ClassVar[Reason] = "Internal"


class SourceError(BuilderError):
    """The source model is missing, unreadable, unsafe or not something that can be built from."""

    reason = "InvalidSource"


class ValidationError(BuilderError):
    """The validation or unlabelled data does not fit the model, the metric or the gate."""

    reason = "InvalidValidation"


class RecipeError(BuilderError):
    """The recipe does not match its type, or asks for something that does not exist."""

    reason = "InvalidRecipe"


class DiskFullError(BuilderError):
    """There is no space left where the build writes."""

    reason = "OutOfDisk"


class OutOfTimeError(BuilderError):
    """The time ran out before any variant could be served."""

    reason = "OutOfTime"


class TechniqueError(BuilderError):
    """A technique cannot be applied to this model; only the candidate fails, never the build."""
