"""From slides and labels to a bundle: training of the hierarchical masked model."""

from __future__ import annotations

from importlib.metadata import version

__version__ = version("maskvit-training")
