"""Errors that a person can act on: each message says what happened, where, and what to do."""


class MaskvitError(Exception):
    """Base of every error that the window and the command line show as one sentence."""


class SlideError(MaskvitError):
    """A slide that cannot be opened or read."""


class SpacingUnknown(SlideError):
    """A slide whose file says nothing of its size in µm, where that is needed."""


class MaskError(MaskvitError):
    """A tissue mask that cannot be made, read or written."""


class ModelError(MaskvitError):
    """A model, bundle or checkpoint that cannot be loaded or used."""


class ExplainError(MaskvitError):
    """An explanation that cannot be computed, read or written."""
