"""Look at a model on real cores: its attention at every level, and what moves its answer.

    python scripts/look_at_bundled.py BUNDLE FOLDER_WITH_CORES_CSV docs/images/bundled-model.jpg

Draws a sheet with a row a core, and prints a Markdown table: predicted grade under the tissue mask
as found, and eroded and dilated by 8 and 16 µm; share of the attention on background.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage.morphology import isotropic_dilation, isotropic_erosion

import napari_maskvit as mv
from napari_maskvit.explain.export import overlay

EDITS = (-16, -8, 0, 8, 16)
LEVELS = ("patch", "region", "slide", "factorised")
CELL, GAP, TITLE = (296, 188), 6, 22


def edited(mask: mv.TissueMask, micrometres: float) -> mv.TissueMask:
    """The mask eroded (below 0) or dilated by a distance."""
    if not micrometres:
        return mask
    change = isotropic_erosion if micrometres < 0 else isotropic_dilation
    return replace(
        mask, array=change(mask.array > 0, abs(micrometres) / mask.spacing).astype(np.uint8)
    )


def cell(picture: np.ndarray) -> Image.Image:
    """A picture at the size of a cell, lying rather than standing."""
    image = Image.fromarray(picture)
    if image.height > image.width:
        image = image.rotate(90, expand=True)
    image.thumbnail(CELL, Image.Resampling.LANCZOS)
    whole = Image.new("RGB", CELL, "white")
    whole.paste(image, ((CELL[0] - image.width) // 2, (CELL[1] - image.height) // 2))
    return whole


def outlined(slide: mv.Slide, mask: mv.TissueMask, side: int = 600) -> np.ndarray:
    """The slide with the outline of its mask."""
    height, width = slide.shape
    scale = max(height, width) / side
    rows, columns = max(1, round(height / scale)), max(1, round(width / scale))
    picture = slide.read_region(0, 0, columns, rows, spacing=slide.require_spacing() * scale).copy()
    y = np.minimum((np.arange(rows) * mask.array.shape[0]) // rows, mask.array.shape[0] - 1)
    x = np.minimum((np.arange(columns) * mask.array.shape[1]) // columns, mask.array.shape[1] - 1)
    inside = mask.array[np.ix_(y, x)] > 0
    picture[isotropic_dilation(inside, 1.5) & ~inside] = (20, 110, 60)
    return picture


def look(path: Path, model: mv.Model, label: str) -> tuple[list[Image.Image], list[str], bool]:
    """The row of the sheet and of the table for one core, and whether background got nothing."""
    with mv.open_slide(path) as slide:
        mask = mv.segment_tissue(slide)
        explainer = mv.Explainer(slide, model, device="cpu")
        answers, shown = [], None
        for micrometres in EDITS:
            explanation = explainer.explain(edited(mask, micrometres))
            assert explanation.prediction is not None
            answers.append(explanation.prediction.value)
            if micrometres == 0:
                shown = explanation
        assert shown is not None
        cells = [cell(outlined(slide, mask))]
        cells += [cell(overlay(slide, shown.heatmap(one), side=600)) for one in LEVELS]
    masses = shown.statistics.background_mass
    row = [path.stem, label, *(f"{one:.2f}" for one in answers)]
    row += [f"{max(answers) - min(answers):.2f}", *(f"{masses[one]:g}" for one in LEVELS[:3])]
    return cells, row, not any(masses.values())


def main() -> None:
    """Draw the sheet and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("cores", type=Path, help="folder with cores.csv, the table of the cores")
    parser.add_argument("sheet", type=Path)
    arguments = parser.parse_args()
    model = mv.load_model(arguments.bundle)
    with (arguments.cores / "cores.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    width = (len(LEVELS) + 1) * (CELL[0] + GAP)
    sheet = Image.new("RGB", (width, TITLE + len(table) * (CELL[1] + TITLE)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for column, name in enumerate(("tissue", *LEVELS)):
        draw.text((column * (CELL[0] + GAP) + 4, 3), name, "black", font)
    edits = " | ".join(f"{one:+d} µm" if one else "as found" for one in EDITS)
    print(f"| core | ISUP grade | {edits} | spread | mass: patch | region | slide |")
    print("|" + "---|" * (len(EDITS) + 6))
    for place, core in enumerate(table):
        cells, row, clean = look(arguments.cores / core["file"], model, core["isup_grade"])
        top = TITLE + place * (CELL[1] + TITLE)
        said = f"{row[0]}: ISUP {core['isup_grade']}, answered {row[4]}"
        draw.text((4, top), said, "black", font)
        for column, one in enumerate(cells):
            sheet.paste(one, (column * (CELL[0] + GAP), top + TITLE - 4))
        print(f"| {' | '.join(row)} |", flush=True)
        if not clean:
            raise SystemExit(f"{row[0]}: attention lies on background.")
    arguments.sheet.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(arguments.sheet, quality=80, optimize=True, subsampling=0)


if __name__ == "__main__":
    main()
