"""``maskvit models``: which there are, and what each says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.mark.parametrize("arguments", [("models",), ("models", "list")])
def test_the_list(maskvit, arguments: tuple[str, ...]) -> None:
    from napari_maskvit.model import list_models

    ran = maskvit(*arguments)
    assert ran.code == 0, ran.err
    assert list_models()
    for entry in list_models():
        assert entry.name in ran.out
    assert "models info NAME" in ran.out


def test_a_card(maskvit, bundle: Path) -> None:
    ran = maskvit("models", "info", bundle)
    assert ran.code == 0, ran.err
    for words in ("Small model", "Made for tests", "patch, region, slide", "benign, tumour"):
        assert words in ran.out
    assert "sha256: " in ran.out
    assert "Its weights are random." in ran.err


def test_the_bundled_card_says_what_it_is(maskvit) -> None:
    from napari_maskvit.model import list_models

    ran = maskvit("models", "info", list_models()[0].name)
    assert ran.code == 0, ran.err
    assert "licence:" in ran.out


def test_a_hub_encoder_is_described_without_a_download(maskvit) -> None:
    from napari_maskvit.model import list_models

    for entry in list_models():
        if entry.where == "hub":
            ran = maskvit("models", "info", entry.name)
            assert ran.code == 0, ran.err
            assert entry.config.licence in ran.out


@pytest.mark.parametrize(
    ("name", "words"), [("nobody", "nobody"), ("/nowhere/bundle", "/nowhere/bundle")]
)
def test_unknown_models(maskvit, name: str, words: str) -> None:
    ran = maskvit("models", "info", name)
    assert ran.code == 2
    assert words in ran.err


def test_a_damaged_bundle(maskvit, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((bundle / "config.json").read_text())
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    ran = maskvit("models", "info", tmp_path)
    assert ran.code == 2
    assert "weights" in ran.err
    assert len(ran.err.strip().splitlines()) == 1
