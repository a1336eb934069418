"""Errors of training that a person can act on."""

from __future__ import annotations

from napari_maskvit.errors import MaskvitError


class TrainingError(MaskvitError):
    """A step of training that cannot be done."""


class RecipeError(TrainingError):
    """A recipe that says something impossible."""


class CohortError(TrainingError):
    """A cohort table with rows that cannot be used; all of them are named."""


class FeatureError(TrainingError):
    """Features that are missing or cannot be written or read."""
