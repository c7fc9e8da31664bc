"""The paper's figures that experiments are laid beside, and how well each is sourced.

A: the paper's text, or a verbatim quotation of it, was seen. B: an independent paraphrase was.
R: recalled only, not verified.
"""

from typing import NamedTuple


class Told(NamedTuple):
    """A figure of the paper's.

    Attributes:
      figure: as people write it.
      mark: "A", "B" or "R".
    """

    figure: str
    mark: str


MARKS = {
    "A": "the paper's text was seen",
    "B": "a secondary source was seen",
    "R": "recalled only",
}


PAPER: dict[str, Told] = {
    "lenet error": Told("0.94%", "B"),
    "mnist direct": Told("99.99% by 200 generations", "A"),
    "mnist direct, all": Told(">= 99.99% on all digits in < 50 generations, every run", "A"),
    "mnist cppn": Told("99.99% too", "B"),
    "ascent": Told("99.99%", "A"),
    "transfer": Told("some images fool both networks, some only the first", "B"),
    "retrain mnist": Told("still fooled after many rounds", "B"),
    "retrain mnist, error": Told("0.75 to 1.02% over 15 rounds", "R"),
    "imagenet direct": Told("21.59% (20,000 generations)", "B"),
    "imagenet cppn": Told("88.11% (5000 generations)", "R"),
    "retrain imagenet, before": Told("88.1%", "R"),
    "retrain imagenet, after": Told("11.7%", "R"),
}
"""By what is measured."""
