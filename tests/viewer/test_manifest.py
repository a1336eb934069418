"""What the manifest promises is really there: in npe2, in napari's menus, in its file dialogs."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
from npe2 import PluginManager

from napari_maskvit.viewer.reader import SUFFIXES, get_reader

MANIFEST = "napari-maskvit"


@pytest.fixture(scope="module")
def manifest():
    manager = PluginManager.instance()
    manager.discover()
    return manager.get_manifest(MANIFEST)


def test_every_command_leads_somewhere(manifest):
    for command in manifest.contributions.commands:
        module, name = command.python_name.split(":")
        assert callable(getattr(import_module(module), name)), command.id


def test_menus_use_only_ids_that_napari_keeps(manifest):
    from napari._app_model.constants import MenuId

    allowed = {str(menu) for menu in MenuId.contributables()}
    assert set(manifest.contributions.menus) <= allowed


def test_titles_do_not_name_the_plugin_since_napari_adds_it(manifest):
    titles = [command.title for command in manifest.contributions.commands]
    assert not [title for title in titles if "(MaskViT)" in title]


def test_the_reader_claims_its_names_and_no_others(manifest, tmp_path):
    patterns = {
        pattern for reader in manifest.contributions.readers for pattern in reader.filename_patterns
    }
    assert {f"*{suffix}" for suffix in SUFFIXES} | {"*.maskvit"} == patterns
    for suffix in SUFFIXES:
        assert get_reader(str(tmp_path / f"a{suffix.upper()}")) is not None
    assert get_reader(str(tmp_path / "a.txt")) is None
    assert get_reader([]) is None
    (tmp_path / "b.maskvit").mkdir()
    assert get_reader(str(tmp_path / "b.maskvit")) is None


@pytest.mark.window
def test_the_menus_of_a_real_window_hold_our_commands(viewer, manifest):
    from app_model.types import MenuItem
    from napari._app_model import get_app_model

    app = get_app_model()
    there = {
        item.command.id
        for menu in manifest.contributions.menus
        for item in app.menus.get_menu(menu)
        if isinstance(item, MenuItem)
    }
    wanted = {item.command for items in manifest.contributions.menus.values() for item in items}
    assert wanted <= there
    samples = [
        item.command.title
        for item in app.menus.get_menu("napari/file/samples")
        if isinstance(item, MenuItem)
    ]
    nested = [getattr(item, "title", "") for item in app.menus.get_menu("napari/file/samples")]
    assert any("MaskViT" in str(title) or "Synthetic" in str(title) for title in samples + nested)


@pytest.mark.window
def test_commands_work_from_the_menus(session, viewer, settle):
    from napari._app_model import get_app_model

    app = get_app_model()
    app.commands.execute_command("napari-maskvit.find_tissue").result()
    settle(session)
    assert session.mask is not None
    app.commands.execute_command("napari-maskvit.measure_tissue").result()
    assert not session.messages


@pytest.mark.window
def test_opening_a_slide_opens_the_panel(viewer, slide_path, qtbot):
    viewer.open(str(slide_path), plugin=MANIFEST)
    qtbot.waitUntil(
        lambda: any("MaskViT" in name for name in viewer.window.dock_widgets), timeout=5000
    )
    viewer.open(str(slide_path), plugin=MANIFEST)
    qtbot.wait(100)
    assert sum("MaskViT" in name for name in viewer.window.dock_widgets) == 1


@pytest.mark.window
@pytest.mark.parametrize("suffix", [".tif", ".png", ".geojson"])
def test_the_mask_layer_is_written_by_file_save(session, viewer, settle, tmp_path, suffix):
    from napari_maskvit.tissue import TissueMask

    session.find_tissue()
    settle(session)
    path = tmp_path / f"mine{suffix}"
    written = session.tissue.layer.save(str(path), plugin=MANIFEST)
    assert written == [str(path)]
    back = TissueMask.load(path, session.slide)
    assert np.mean(back.tissue != session.mask.tissue) < 0.01
