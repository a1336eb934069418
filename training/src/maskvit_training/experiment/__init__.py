"""Experiments on phantoms, whose truth is known."""
