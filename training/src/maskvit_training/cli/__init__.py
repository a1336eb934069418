"""`maskvit-train`: check, split, features, fit, evaluate, export."""

from maskvit_training.cli import experiments, preparing, training, using
from maskvit_training.cli.group import app, main

__all__ = ["app", "experiments", "main", "preparing", "training", "using"]
