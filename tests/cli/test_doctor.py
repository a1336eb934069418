"""``maskvit doctor``: what is there, what lacks, and how to get it."""

from __future__ import annotations

import sys

import pytest

from napari_maskvit.cli import checks
from napari_maskvit.cli.checks import Finding, findings


def test_a_whole_machine(maskvit, monkeypatch: pytest.MonkeyPatch) -> None:
    # Whether there is a display is not for this test to say.
    monkeypatch.setattr(checks, "LOOKS", tuple(x for x in checks.LOOKS if x is not checks.display))
    ran = maskvit("doctor")
    assert ran.code == 0, ran.out
    for what in ("Python", "PyTorch", "timm", "device", "bundled model", "cache folder", "viewer"):
        assert f"{what}:" in ran.out
    assert "✗" not in ran.out


def test_every_lack_has_advice_and_ends_with_1(maskvit, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> Finding:
        return Finding("thing", "missing", "not [installed]", "pip install 'thing[all]'")

    def poorer() -> Finding:
        return Finding("nicety", "optional", "absent", "pip install nicety")

    monkeypatch.setattr(checks, "LOOKS", (checks.python, gone, poorer))
    ran = maskvit("doctor")
    assert ran.code == 1
    assert "✗ thing: not [installed]" in ran.out
    assert "pip install 'thing[all]'" in ran.out
    assert "– nicety" in ran.out
    monkeypatch.setattr(checks, "LOOKS", (checks.python, poorer))
    assert maskvit("doctor").code == 0


def test_a_look_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Finding:
        raise OSError("libtorch.so: cannot open")

    monkeypatch.setattr(checks, "LOOKS", (broken,))
    (finding,) = findings()
    assert finding.state == "missing"
    assert "libtorch.so" in finding.found


@pytest.mark.parametrize(
    ("module", "look", "state", "words"),
    [
        ("torch", checks.torch, "missing", "pip install torch torchvision"),
        ("torchvision", checks.torch, "missing", "install both anew"),
        ("openslide", checks.slide_formats, "optional", "napari-maskvit[openslide]"),
    ],
)
def test_what_cannot_be_imported(
    monkeypatch: pytest.MonkeyPatch, module: str, look, state: str, words: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    finding = look()
    assert finding.state == state
    assert words in finding.advice


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="is about Linux libraries")
def test_missing_libraries_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    libraries = {**checks.WINDOW_LIBRARIES, "libnowhere.so.9": "libnowhere9"}
    monkeypatch.setattr(checks, "WINDOW_LIBRARIES", libraries)
    finding = checks.system_libraries()
    assert finding.state == "optional"
    assert "libnowhere.so.9" in finding.found
    assert "apt-get install" in finding.advice
    assert finding.advice.endswith("libnowhere9")


def test_a_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("MASKVIT_CACHE", str(tmp_path / "cache"))
    assert checks.cache_folder().found == str(tmp_path / "cache")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert checks.cache_folder().state == "missing"
    assert "MASKVIT_CACHE" in checks.cache_folder().advice
