"""What this machine has and lacks: one small look each."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Literal

from napari_maskvit.errors import MaskvitError

State = Literal["good", "optional", "missing"]


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report.

    Parameters
    ----------
    what
        The thing that was looked for.
    state
        "good"; "optional" where it lacks but most works without; "missing" where nothing does.
    found
        What is there.
    advice
        How to get what lacks.
    """

    what: str
    state: State
    found: str
    advice: str = ""


# Needed by Qt's windows and left to the system by its wheels: shared library, Debian package.
WINDOW_LIBRARIES = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
}


def findings() -> Iterator[Finding]:
    """Every look, one after the other; a look that itself fails is a finding."""
    for look in LOOKS:
        try:
            yield look()
        except Exception as error:
            name = look.__name__.replace("_", " ")
            yield Finding(name, "missing", f"{type(error).__name__}: {error}", "see the message")


def python() -> Finding:
    """Python itself."""
    return Finding("Python", "good", f"{platform.python_version()} at {sys.prefix}")


def torch() -> Finding:
    """PyTorch, and the torchvision that has to be of the same build."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return Finding("PyTorch", "missing", str(error), "pip install torch torchvision")
    found = torch.__version__
    try:
        import torchvision
    except (ImportError, OSError, RuntimeError) as error:
        there = _installed("torchvision") or "absent"
        return Finding(
            "PyTorch",
            "missing",
            f"{found}; torchvision {there} does not fit to it ({error})",
            "install both anew, from one place: pip install --force-reinstall torch torchvision",
        )
    return Finding("PyTorch", "good", f"{found}, torchvision {torchvision.__version__}")


def timm() -> Finding:
    """Where the transformers come from."""
    there = _installed("timm")
    if there is None:
        return Finding("timm", "missing", "not installed", "pip install timm")
    return Finding("timm", "good", there)


def device() -> Finding:
    """Where the model runs unless told otherwise, and in which precision."""
    import torch

    from napari_maskvit.model import resolve_device, resolve_precision

    chosen = resolve_device("auto")
    precision = resolve_precision("auto", chosen)
    if chosen.startswith("cuda"):
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        name = f"{torch.cuda.get_device_name(0)}, {memory:.0f} GiB"
        return Finding("device", "good", f"{name}, in {precision}")
    advice = "" if torch.version.cuda else "a CUDA build of PyTorch would use one"
    found = f"CPU, {os.cpu_count()} cores, in {precision}; no CUDA GPU"
    return Finding("device", "good", found, advice)


def model() -> Finding:
    """The bundled model: there, whole, and what its card says that it is."""
    from napari_maskvit.model import load_model

    try:
        loaded = load_model()
    except MaskvitError as error:
        return Finding("bundled model", "missing", str(error), "install napari-maskvit anew")
    return Finding("bundled model", "good", f"{loaded.name}, sha256 {loaded.sha256[:12]}")


def slide_formats() -> Finding:
    """Codecs for TIFF slides, and OpenSlide for the rest."""
    import imagecodecs

    lacking = [name for name in ("JPEG8", "JPEG2K", "LZW") if not getattr(imagecodecs, name)]
    if lacking:
        found = f"imagecodecs lacks {', '.join(lacking)}"
        return Finding("slide formats", "missing", found, "pip install -U imagecodecs")
    try:
        import openslide
    except (ImportError, OSError) as error:
        return Finding(
            "slide formats",
            "optional",
            f"TIFF family, PNG, JPEG; no OpenSlide ({error})",
            "for MRXS, DICOM, BIF and VMS: pip install 'napari-maskvit[openslide]'",
        )
    found = f"TIFF family, PNG, JPEG; OpenSlide {openslide.__library_version__} for the rest"
    return Finding("slide formats", "good", found)


def cache_folder() -> Finding:
    """Where the sample slide is kept."""
    from napari_maskvit.slide.phantom.sample import cache_folder as where

    folder = where()
    parent = folder
    while not parent.exists():
        parent = parent.parent
    if not os.access(parent, os.W_OK | os.X_OK):
        advice = f"make {folder} writable, or set MASKVIT_CACHE to a folder that is"
        return Finding("cache folder", "missing", f"{folder} cannot be written", advice)
    return Finding("cache folder", "good", str(folder))


def viewer() -> Finding:
    """The window's parts: napari and a Qt binding."""
    napari, advice = _installed("napari"), "pip install 'napari-maskvit[gui]'"
    if napari is None:
        return Finding("viewer", "optional", "napari is not installed", advice)
    from napari_maskvit.cli.display import BINDINGS

    bindings = [binding for binding in BINDINGS if find_spec(binding)]
    if not bindings:
        found = f"napari {napari} without a Qt binding"
        return Finding("viewer", "optional", found, "pip install 'napari[pyqt6]'")
    found = f"napari {napari}, {bindings[0]} {_installed(bindings[0])}"
    return Finding("viewer", "good", found)


def system_libraries() -> Finding:
    """What Qt's windows want from a Linux system."""
    if not sys.platform.startswith("linux"):
        return Finding("system libraries", "good", f"nothing is wanted on {platform.system()}")
    lacking = [name for name in WINDOW_LIBRARIES if not _loads(name)]
    if lacking:
        packages = " ".join(WINDOW_LIBRARIES[name] for name in lacking)
        return Finding(
            "system libraries",
            "optional",
            f"windows lack {', '.join(lacking)}",
            f"on Debian: apt-get install --no-install-recommends {packages}",
        )
    return Finding("system libraries", "good", "all that windows want")


def display() -> Finding:
    """A display that Qt can open, with OpenGL."""
    from napari_maskvit.cli.display import try_display

    shown = try_display()
    if shown.reason:
        advice = "the command line works without; for windows use a desktop, or xvfb-run"
        return Finding("display", "optional", shown.reason, advice)
    return Finding("display", "good", f"{shown.platform}, OpenGL {shown.opengl}")


LOOKS: tuple[Callable[[], Finding], ...] = (
    python,
    torch,
    timm,
    device,
    model,
    slide_formats,
    cache_folder,
    viewer,
    system_libraries,
    display,
)


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
