"""Folders of results: whole or not at all, and never over something foreign."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from napari_maskvit.cli.output import SUMMARY, appearing, check_folder, check_writable
from napari_maskvit.errors import MaskvitError


def test_it_appears_at_the_end(tmp_path: Path) -> None:
    place = tmp_path / "deep/down/result"
    with appearing(place) as fresh:
        (fresh / SUMMARY).write_text("{}")
        assert not place.exists()
    assert [one.name for one in place.iterdir()] == [SUMMARY]
    assert [one.name for one in place.parent.iterdir()] == ["result"]


def write_then(error: type[BaseException], place: Path) -> None:
    with appearing(place) as fresh:
        (fresh / SUMMARY).write_text("half")
        raise error


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_nothing_half_stays(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error):
        write_then(error, tmp_path / "result")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_the_earlier_result_stays_until_the_new_one_is_whole(
    tmp_path: Path, error: type[BaseException]
) -> None:
    place = tmp_path / "result"
    place.mkdir()
    (place / SUMMARY).write_text("old")
    with pytest.raises((KeyboardInterrupt, MaskvitError)):
        write_then(error, place)
    assert (place / SUMMARY).read_text() == "old"
    with appearing(place) as fresh:
        (fresh / SUMMARY).write_text("new")
    assert (place / SUMMARY).read_text() == "new"
    assert [one.name for one in tmp_path.iterdir()] == ["result"]


def test_what_stands_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MaskvitError, match="is a file"):
        check_folder(tmp_path / "file", overwrite=True)
    (tmp_path / "photos").mkdir()
    check_folder(tmp_path / "photos", overwrite=False)
    (tmp_path / "photos/cat.jpg").write_text("")
    with pytest.raises(MaskvitError, match="something else than results"):
        check_folder(tmp_path / "photos", overwrite=True)
    (tmp_path / "photos" / SUMMARY).write_text("{}")
    with pytest.raises(MaskvitError, match="--overwrite"):
        check_folder(tmp_path / "photos", overwrite=False)
    check_folder(tmp_path / "photos", overwrite=True)


def test_a_place_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MaskvitError, match="cannot be written"):
        check_writable(tmp_path / "file" / "result")
    # Root may write anywhere, so the system's answer is put in its place.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(MaskvitError, match="may write to"):
        check_writable(tmp_path / "result")
