"""What lies in napari's list of layers: heatmaps, the mask and what follows from it."""
