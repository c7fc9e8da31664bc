"""The paper's figures to compare experiments with, and the source of each.

A: the paper's text, or a verbatim quotation of it, was seen. B: an independent paraphrase was seen.
R: the figure was recalled and is not verified.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class PaperFigure:
    """A figure of the paper.

    Attributes:
      figure: Value, as people write it.
      mark: Mark of the source: "A", "B" or "R".
    """

    figure: str
    mark: str


MARKS = {
    "A": "the paper's text was seen",
    "B": "a secondary source was seen",
    "R": "recalled only",
}


PAPER: dict[str, PaperFigure] = {
    "lenet error": PaperFigure("0.94%", "B"),
    "mnist direct": PaperFigure("99.99% by 200 generations", "A"),
    "mnist direct, all": PaperFigure(">= 99.99% on all digits in < 50 generations, every run", "A"),
    "mnist cppn": PaperFigure("99.99% too", "B"),
    "ascent": PaperFigure("99.99%", "A"),
    "transfer": PaperFigure("some images fool both networks, some only the first", "B"),
    "retrain mnist": PaperFigure("still fooled after many rounds", "B"),
    "retrain mnist, error": PaperFigure("0.75 to 1.02% over 15 rounds", "R"),
    "imagenet direct": PaperFigure("21.59% (20,000 generations)", "B"),
    "imagenet cppn": PaperFigure("88.11% (5000 generations)", "R"),
    "retrain imagenet, before": PaperFigure("88.1%", "R"),
    "retrain imagenet, after": PaperFigure("11.7%", "R"),
}
"""Figures of the paper, by the measured quantity."""
