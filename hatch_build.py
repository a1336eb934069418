"""Brings the top-level ``napari.yaml`` to where npe2 looks for it: inside the package."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManifestHook(BuildHookInterface):  # type: ignore[type-arg]
    """One manifest for every kind of install: packed into a wheel, linked into a checkout."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the manifest to a wheel, or lay a link to it beside the editable package.

        Parameters
        ----------
        version
            What hatchling builds: ``"standard"`` or ``"editable"``.
        build_data
            Changed in place: ``force_include`` gains the manifest for a standard wheel.
        """
        manifest = Path(self.root) / "napari.yaml"
        inside = Path("napari_maskvit") / manifest.name
        if version == "editable":
            _link(Path(self.root) / "src" / inside, manifest)
        else:
            build_data["force_include"][str(manifest)] = inside.as_posix()


def _link(link: Path, target: Path) -> None:
    link.unlink(missing_ok=True)
    try:
        link.symlink_to(os.path.relpath(target, link.parent))
    except OSError:  # Windows without the right to make links
        shutil.copyfile(target, link)
