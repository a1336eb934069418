"""Whole-slide images: pixels at any spacing, from any common file format."""

from __future__ import annotations

from napari_maskvit.slide.cache import TileCache
from napari_maskvit.slide.opening import open_slide
from napari_maskvit.slide.region import Region
from napari_maskvit.slide.slide import Slide

__all__ = ["Region", "Slide", "TileCache", "open_slide"]
