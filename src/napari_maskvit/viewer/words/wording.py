"""Numbers as a person reads them: with a unit, a sensible number of digits and no surprises.

Everything here is pure text, so that the panels only place it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_maskvit.model import ModelConfig

MINUS = "\N{MINUS SIGN}"
NB = "\N{NO-BREAK SPACE}"
_NOMINAL = {
    0.0625: "160×",
    0.125: "80×",
    0.25: "40×",
    0.5: "20×",
    1.0: "10×",
    2.0: "5×",
    4.0: "2.5×",
}


def significant(value: float, digits: int = 3) -> str:
    """Round `value` to `digits` significant digits, never in scientific notation.

    Parameters
    ----------
    value : float
        Any finite number.
    digits : int
        Digits that carry meaning; whole numbers keep all of theirs.

    Returns
    -------
    str
        For instance ``"0.0123"``, ``"4.56"`` or ``"12,345"``.
    """
    if value == 0:
        return "0"
    magnitude = len(str(int(abs(value)))) if abs(value) >= 1 else -_leading_zeros(abs(value))
    decimals = max(0, digits - magnitude)
    text = f"{abs(value):,.{decimals}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return (MINUS if value < 0 and text != "0" else "") + text


def decimals_of(step: float) -> int:
    """Count the digits behind the decimal point that a value in steps of `step` needs."""
    digits = 0
    while digits < 6 and abs(step * 10**digits - round(step * 10**digits)) > 1e-9:
        digits += 1
    return digits


def _leading_zeros(value: float) -> int:
    zeros = 0
    while value < 0.1 and zeros < 9:
        value *= 10
        zeros += 1
    return zeros


def millimetres(micrometres: float) -> str:
    """Say a length in mm, or in µm below a tenth of a mm."""
    if abs(micrometres) < 100:
        return f"{significant(micrometres)}{NB}µm"
    return f"{significant(micrometres / 1000)}{NB}mm"


def size(width_um: float, height_um: float) -> str:
    """Say how large a slide is, width first, both as exactly: ``"12.4 × 8.1 mm"``."""
    unit, decimals, sides = "µm", 0, (width_um, height_um)
    if max(sides) >= 100:
        unit, sides = "mm", (width_um / 1000, height_um / 1000)
        decimals = 2 if max(sides) < 10 else 1
    width, height = (f"{side:,.{decimals}f}" for side in sides)
    return f"{width} × {height}{NB}{unit}"


def pixels(width: int, height: int) -> str:
    """Say how many pixels a slide has, width first: ``"98,304 × 64,000 px"``."""
    return f"{width:,} × {height:,}{NB}px"


def area(mm2: float) -> str:
    """Say an area in mm², or in µm² where that would be a string of zeros."""
    if 0 < abs(mm2) < 0.01:
        # 5,250 µm² pretends to know the last pixel.
        rounded = float(f"{mm2 * 1e6:.2g}")
        return f"{significant(rounded, 2)}{NB}µm²"
    return f"{significant(mm2, 2 if abs(mm2) < 1 else 3)}{NB}mm²"


def spacing(um: float) -> str:
    """Say a pixel spacing, with the objective that it usually stands for.

    Scanners differ by some percent about the nominal value, hence the tolerance of 15 %.
    """
    text = f"{significant(um)}{NB}µm/px"
    for nominal, objective in _NOMINAL.items():
        if abs(um - nominal) <= 0.15 * nominal:
            return f"{text} (about {objective})"
    return text


def share(fraction: float) -> str:
    """Say a fraction in [0, 1] as per cent, never rounding something to nothing or to all."""
    percent = 100 * fraction
    if 0 < percent < 0.1:
        return f"<{NB}0.1{NB}%"
    if 99.9 < percent < 100:
        return f">{NB}99.9{NB}%"
    if percent in (0, 100) or 10 <= percent < 99:
        return f"{percent:.0f}{NB}%"
    return f"{percent:.1f}{NB}%"


def probability(value: float) -> str:
    """Say a probability with two digits and no leading zero: ``".58"``."""
    text = f"{value:.2f}"
    return text.removeprefix("0") if text.startswith("0.") else text


def duration(seconds: float) -> str:
    """Say a time as roughly as its size deserves: ``"8 s"``, ``"2 min 30 s"``, ``"1 h 20 min"``."""
    if seconds < 1:
        return f"under 1{NB}s"
    if seconds < 59.5:
        return f"{seconds:.0f}{NB}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        rest -= rest % 10
        return f"{minutes}{NB}min {rest}{NB}s" if rest and minutes < 10 else f"{minutes}{NB}min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}{NB}h {minutes}{NB}min" if minutes else f"{hours}{NB}h"


def progress(done: int, total: int, seconds_left: float | None) -> str:
    """Say how far a run is: ``"132 of 1,204 patches, 20 s left"``."""
    text = f"{done:,} of {total:,} patches"
    if done >= total or seconds_left is None:
        return text
    return f"{text}, {duration(seconds_left)} left"


def listing(words: Sequence[str]) -> str:
    """Join words as in a sentence: ``"patch, region and slide"``."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def sentence(text: str) -> str:
    """Start with a capital and end with a full stop, whatever came."""
    text = " ".join(text.split())
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?…" else ".")


def about_model(config: ModelConfig) -> str:
    """Say in a breath what a model is, what it saw in training, and that it is no diagnostic."""
    text = sentence(f"{config.title}: trained on {config.training_data}")
    if "research use only" in text.lower():
        return text
    return f"{text} Research use only, not for diagnosis."


def levels_of(config: ModelConfig) -> str:
    """Say which levels a model has, and what follows from one that is missing."""
    levels = config.levels
    text = f"{'Levels' if len(levels) > 1 else 'Level'}: {listing(levels)}."
    return text if "slide" in levels else f"{text} Without a slide level it makes no prediction."


def sizes_of(config: ModelConfig) -> str:
    """Say at which spacing a model works, and how large its squares are on the slide."""
    sides = f"tokens {significant(config.token_px * config.spacing)}{NB}µm"
    sides += f", patches {significant(config.patch_px * config.spacing)}{NB}µm"
    if "region" in config.levels:
        sides += f", regions {significant(config.region_px * config.spacing)}{NB}µm"
    return f"Works at {spacing(config.spacing)}: {sides} wide."


def gained_and_lost(gained_mm2: float, lost_mm2: float) -> str:
    """Say how tissue changed: ``"+0.012 mm², −3,000 µm²"``."""
    parts = [f"+{area(gained_mm2)}"] if gained_mm2 else []
    parts += [f"{MINUS}{area(lost_mm2)}"] if lost_mm2 else []
    return ", ".join(parts) or "no tissue gained or lost"


def computed(patches: int, known: int, seconds: float) -> str:
    """Say what a run cost: ``"18 patches in 1 s, 142 known before"``."""
    if not patches:
        return f"nothing new: all {known:,} patches were known" if known else "nothing"
    said = f"{patches:,} patch{'es' if patches > 1 else ''}"
    # Of what took no time worth telling, none is told.
    said += f" in {duration(seconds)}" if seconds >= 1 else ""
    return said + (f", {known:,} known before" if known else "")
