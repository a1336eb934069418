"""The napari side: reader, writer, sample, menus, the live session and its dock widget."""
