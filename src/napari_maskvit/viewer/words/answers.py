"""A prediction in words: what it is, and how it moved. Pure text, so that panels only place it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_maskvit.viewer.words.wording import MINUS, probability, significant

if TYPE_CHECKING:
    from napari_maskvit.model import Prediction


def predicted(prediction: Prediction) -> tuple[str, str]:
    """Say a prediction: its label, and the numbers behind it.

    Returns
    -------
    headline, detail : str
        For instance ``("ISUP grade group 3", "Predicted value 2.86.")``.
    """
    if prediction.kind == "survival":
        return prediction.label, "The bars give the probability of the event in each interval."
    if prediction.probabilities:
        best = max(prediction.probabilities)
        return prediction.label, f"Probability {probability(best)}."
    said = f"Predicted value {significant(prediction.value)}"
    last = len(prediction.labels) - 1
    if last > 0:
        said += f", on a scale from {prediction.labels[0]} to {prediction.labels[-1]}"
        if not 0 <= prediction.value <= last:
            said += f": {'above' if prediction.value > last else 'below'} it"
    return prediction.label, f"{said}."


def moved(then: Prediction | None, now: Prediction | None) -> tuple[str, str]:
    """Say how a prediction changed.

    Returns
    -------
    labels, numbers : str
        For instance ``("ISUP 3 → ISUP 3", "Probability of ISUP 3: .58 → .64.")``; empty where
        one of the two is missing.
    """
    if then is None or now is None:
        return "", ""
    labels = f"{then.label} → {now.label}"
    if then.kind != now.kind or then.labels != now.labels or now.kind == "survival":
        return labels, ""
    if not (then.probabilities and now.probabilities):
        return labels, f"Predicted value: {apart(then.value, now.value)}."
    best = max(range(len(now.labels)), key=now.probabilities.__getitem__)
    was, is_now = then.probabilities[best], now.probabilities[best]
    return labels, f"Probability of {now.labels[best]}: {step(was, is_now)}."


def step(then: float, now: float) -> str:
    """Say two probabilities with as many digits as tell them apart, at most four."""
    for digits in (2, 3, 4):
        texts = [f"{value:.{digits}f}" for value in (then, now)]
        if texts[0] != texts[1] or then == now:
            break
    return " → ".join(text.removeprefix("0") if text[0] == "0" else text for text in texts)


def apart(then: float, now: float) -> str:
    """Say two numbers with as many digits as tell them apart: ``"5.532 → 5.528"``."""
    if then == now:
        return f"{significant(now)}, as before"
    # The same number of decimals in both, so that they can be compared at a glance.
    fewest = max(0, 3 - len(str(int(max(abs(then), abs(now))))))
    for decimals in range(fewest, fewest + 4):
        texts = [f"{value:,.{decimals}f}".replace("-", MINUS) for value in (then, now)]
        if texts[0] != texts[1]:
            return " → ".join(texts)
    return f"{significant(now)}, all but the same"


def brief(prediction: Prediction) -> str:
    """Say the answer where there is little room: ``"ISUP 3"`` for "ISUP grade group 3"."""
    words = prediction.label.split()
    if len(words) > 2 and words[-1] in prediction.labels:
        return f"{words[0]} {words[-1]}"
    return prediction.label


def pinned(now: Prediction, then: Prediction | None) -> str:
    """Say an answer in a line, and what it was before: ``"ISUP 5 · 5.53 → 5.47"``.

    Parameters
    ----------
    now
        The answer.
    then
        The one before it, if there was one of the same model.
    """
    answer, at = brief(now), likeliest(now)
    if now.kind == "survival":
        return f"risk {significant(now.value)}"
    number = number_of(now, at)
    said = significant(number) if at is None else probability(number)
    if then is None or then.kind != now.kind or then.labels != now.labels:
        return f"{answer} · {said}"
    if brief(then) != answer:
        answer = f"{brief(then)} → {answer}"
    was = number_of(then, at)
    if was == number:
        return f"{answer} · {said}"
    return f"{answer} · {apart(was, number) if at is None else step(was, number)}"


def both(masked: Prediction, plain: Prediction) -> str:
    """Say two answers in a line, what they share once: ``"ISUP 5 · 5.58, plain 3 · 2.61"``."""
    said = pinned(plain, None).removeprefix(f"{brief(masked)} · ")
    if " " in brief(masked):
        said = said.removeprefix(f"{brief(masked).split()[0]} ")
    return f"{pinned(masked, None)}, plain {said}"


def likeliest(prediction: Prediction) -> int | None:
    """Index of the label with the highest probability; None where there are none."""
    if not prediction.probabilities:
        return None
    return max(range(len(prediction.probabilities)), key=prediction.probabilities.__getitem__)


def number_of(prediction: Prediction, at: int | None) -> float:
    """The probability of one label, or the value itself where there are no probabilities."""
    if at is None or not prediction.probabilities:
        return prediction.value
    return prediction.probabilities[at]
