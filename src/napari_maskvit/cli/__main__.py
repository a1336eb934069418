"""``python -m napari_maskvit.cli`` is ``maskvit``."""

from napari_maskvit.cli import main

main()
