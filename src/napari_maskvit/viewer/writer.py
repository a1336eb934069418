"""File > Save for a tissue mask: TIFF, PNG, or GeoJSON that QuPath opens in place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


def write_mask(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Labels layer as a tissue mask.

    Parameters
    ----------
    path
        Ends in .tif, .tiff, .png or .geojson.
    data
        Labels, 1 = tissue.
    attributes
        The layer's; its scale is the mask's spacing, µm.

    Returns
    -------
    list of str
        The paths written; empty where something went wrong, which has been notified.
    """
    from napari_maskvit.errors import MaskvitError
    from napari_maskvit.tissue import TissueMask
    from napari_maskvit.viewer.words import notices

    source = attributes.get("metadata", {}).get("maskvit", {})
    spacing = float(source.get("spacing") or np.ravel(attributes.get("scale", (1.0, 1.0)))[-1])
    try:
        mask = TissueMask(np.array(data, dtype=np.uint8), spacing, attributes.get("name", ""))
        mask.save(Path(path), _slide(source.get("slide")))
    except (MaskvitError, OSError) as error:
        notices.show(error)
        return []
    return [path]


def _slide(path: str | None) -> Any:
    from napari_maskvit.slide import open_slide

    return open_slide(path) if path and Path(path).exists() else None
