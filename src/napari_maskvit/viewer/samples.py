"""File > Open Sample > MaskViT."""

from __future__ import annotations

from typing import Any


def phantom_biopsy() -> list[tuple[Any, dict[str, Any], str]]:
    """A synthetic prostate biopsy with glands, lesions, pen and dust; made on first use, then kept.

    Returns
    -------
    list of LayerData
        One lazily read multiscale image.
    """
    from napari_maskvit.slide.phantom import sample_slide
    from napari_maskvit.viewer.reader import read

    pixels, arguments, kind = read(str(sample_slide()))[0]
    return [(pixels, {**arguments, "name": "synthetic biopsy"}, kind)]
