"""The interpretability scorecard: masked against plain attention, slide by slide."""

from maskvit_training.scorecard.cohort import Scorecard, score_cohort, summarise
from maskvit_training.scorecard.slide import SlideScore, score_slide

__all__ = ["Scorecard", "SlideScore", "score_cohort", "score_slide", "summarise"]
