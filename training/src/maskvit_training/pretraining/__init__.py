"""Self-supervised training: DINO on tissue patches, and on grids of patch features."""
