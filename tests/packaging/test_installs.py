"""The one manifest at the top reaches npe2 from a wheel, an sdist and a live checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import npe2
import pytest

ROOT = Path(__file__).resolve().parents[2]
# What npe2 makes of the installed package, asked in a process of its own.
ASK = """
import json, sys
from importlib.metadata import distribution
from npe2 import PluginManager
manager = PluginManager()
manager.discover(include_npe1=False)
manifest = manager.get_manifest("napari-maskvit")
contributed = {name: len(value) for name, value in manifest.contributions if value}
spec = __import__("importlib.util").util.find_spec("napari_maskvit")
print(json.dumps({
    "display_name": manifest.display_name,
    "contributed": contributed,
    "package": spec.origin,
    "scripts": [e.name for e in distribution("napari-maskvit").entry_points],
}))
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, so that building leaves the real checkout alone."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in ("pyproject.toml", "hatch_build.py", "napari.yaml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    shutil.copy(ROOT / ".gitignore", copy)
    sources = shutil.ignore_patterns("__pycache__", "napari.yaml", "*.safetensors")
    shutil.copytree(ROOT / "src", copy / "src", ignore=sources)
    return copy


@pytest.fixture(scope="module")
def sdist(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(checkout, "sdist", tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(checkout, "wheel", tmp_path_factory.mktemp("wheel"))


def build(source: Path, kind: str, out: Path) -> Path:
    command = [sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "-o", out, source]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = out.iterdir()
    return made


def discovered(tmp_path: Path, *install: str) -> dict[str, object]:
    """Install into an environment that borrows only the dependencies; say what npe2 finds."""
    place = tmp_path / "environment"
    venv.create(place, symlinks=os.name != "nt")
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    borrowed = tmp_path / "borrowed"
    borrow_dependencies(borrowed)
    environment = {**os.environ, "PYTHONPATH": str(borrowed)}
    # --python, because `-m uv` would otherwise install where these tests themselves run
    uv = [sys.executable, "-m", "uv", "pip", "install", "--python", str(python)]
    uv += ["--no-deps", "--no-build-isolation", *install]
    done = subprocess.run(uv, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    answer = subprocess.run(
        [python, "-c", ASK], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr
    found: dict[str, object] = json.loads(answer.stdout)
    return found


def borrow_dependencies(folder: Path) -> None:
    """Link every installed distribution into `folder`, this package itself left out."""
    folder.mkdir()
    for thing in Path(npe2.__file__).parents[1].iterdir():
        if "maskvit" not in thing.name and thing.suffix != ".pth":
            (folder / thing.name).symlink_to(thing)


def expected_contributions() -> dict[str, int]:
    manifest = npe2.PluginManifest.from_file(ROOT / "napari.yaml")
    return {name: len(value) for name, value in manifest.contributions if value}


def check(found: dict[str, object]) -> None:
    assert found["display_name"] == npe2.PluginManifest.from_file(ROOT / "napari.yaml").display_name
    assert found["contributed"] == expected_contributions()
    assert set(found["scripts"]) == {"maskvit", "napari-maskvit"}  # type: ignore[call-overload]


def test_wheel_holds_the_manifest_once(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert names.count("napari_maskvit/napari.yaml") == 1
    assert "napari_maskvit/py.typed" in names
    assert all(name.startswith(("napari_maskvit/", "napari_maskvit-")) for name in names)


def test_sdist_holds_the_manifest_at_the_top_and_what_builds_it(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    assert {"napari.yaml", "hatch_build.py", "pyproject.toml", "LICENSE"} <= names
    assert "src/napari_maskvit/napari.yaml" not in names


def test_from_a_wheel(wheel: Path, tmp_path: Path) -> None:
    found = discovered(tmp_path, str(wheel))
    check(found)
    assert str(tmp_path / "environment") in str(found["package"])


def test_from_an_sdist(sdist: Path, tmp_path: Path) -> None:
    check(discovered(tmp_path, str(sdist)))


def test_from_a_live_checkout(checkout: Path, tmp_path: Path) -> None:
    found = discovered(tmp_path, "--editable", str(checkout))
    check(found)
    assert Path(str(found["package"])).is_relative_to(checkout)
    link = checkout / "src/napari_maskvit/napari.yaml"
    assert link.read_text() == (ROOT / "napari.yaml").read_text()
    if link.is_symlink():
        assert link.readlink() == Path("../../napari.yaml")


def test_a_copy_serves_where_links_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    import hatch_build

    def refuse(self: Path, target: object, target_is_directory: bool = False) -> None:
        raise OSError("A required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    (tmp_path / "src/napari_maskvit").mkdir(parents=True)
    (tmp_path / "napari.yaml").write_text("name: napari-maskvit\n")
    hook = hatch_build.ManifestHook(str(tmp_path), {}, None, None, "", "wheel")
    hook.initialize("editable", {})
    copied = tmp_path / "src/napari_maskvit/napari.yaml"
    assert not copied.is_symlink()
    assert copied.read_text() == "name: napari-maskvit\n"
