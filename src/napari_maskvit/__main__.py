"""``python -m napari_maskvit`` is ``maskvit``."""

from napari_maskvit.cli import main

if __name__ == "__main__":
    main()
