"""Which kind is painted: tissue, or what is told apart from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize
from qtpy.QtGui import QColor, QIcon, QPixmap

from napari_maskvit.tissue.kinds import EXCLUDED, GLASS, TISSUE, Kind
from napari_maskvit.viewer.keys import KIND_KEYS
from napari_maskvit.viewer.layers.colours import TISSUE_COLOUR
from napari_maskvit.viewer.parts.controls import Choice

if TYPE_CHECKING:
    from napari_maskvit.viewer.session import Session

_KINDS = (TISSUE, *EXCLUDED, GLASS)
_KEY_OF = {kind.value: key for key, kind in KIND_KEYS.items()}


class KindChoice(Choice):
    """What brush, polygon, fill and likeness paint, each in its colour."""

    def __init__(self, session: Session) -> None:
        keys = ", ".join(f"{kind.name} {_KEY_OF[kind.value]}" for kind in _KINDS[:-1])
        super().__init__(
            "What brush, polygon and likeness paint. All but tissue is background to the model, "
            f"and is told apart in GeoJSON. Keys: {keys}",
            [(kind.name, kind.value) for kind in _KINDS],
        )
        self.setIconSize(QSize(12, 12))
        for index, kind in enumerate(_KINDS):
            swatch = QPixmap(12, 12)
            swatch.fill(QColor.fromRgbF(*(TISSUE_COLOUR if kind is TISSUE else _shade(kind))))
            self.setItemIcon(index, QIcon(swatch))
        self.chosen.connect(session.tools.paint_with)


def _shade(kind: Kind) -> tuple[float, float, float]:
    red, green, blue = kind.colour
    return red / 255, green / 255, blue / 255
