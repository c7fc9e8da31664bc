"""Settings of a gradient ascent, and presets of them."""

import dataclasses

import optax

from qd_fool.ascent import rules as ascent_rules
from qd_fool.errors import UserError, check_range


@dataclasses.dataclass(frozen=True)
class AscentConfig:
    """The settings that decide the outcome of an ascent, with starts, classes, encoding, network.

    Attributes:
      objective: Text that `objectives.read_objective` reads.
      rule: Step rule: adam, progress or constant.
      lr: Learning rate of adam and constant. The unit is a pixel value of 0..255, or for CPPNs
        the step size of a weight (`Variables.steps`).
      early, late, max_lr: Settings of the rule progress.
      decay: Share of X, the picture relative to the mean, that each step takes away.
      blur: Standard deviation in pixels; 0 for none, else 0.3 or more.
      blur_every: Iterations from one blur to the next.
      small_values, small_norms, low_benefit, low_abs_benefit: Percentiles below which values or
        pixels become 0 after each step; 0 for none.
      iterations: Forward passes per target: one more than there are steps.
      crops: Crops per picture, 1 or 10.
      chunk: Targets at once; part of the configuration, as in `MapElitesConfig`.
    """

    objective: str = "log-odds"
    rule: str = "adam"
    lr: float = 1.0
    early: float = 0.03
    late: float = 0.1
    max_lr: float = 1e12
    decay: float = 0.0
    blur: float = 0.0
    blur_every: int = 1
    small_values: float = 0.0
    small_norms: float = 0.0
    low_benefit: float = 0.0
    low_abs_benefit: float = 0.0
    iterations: int = 60
    crops: int = 1
    chunk: int = 50

    def __post_init__(self) -> None:
        check_range(self, "iterations", "chunk", "blur_every", least=1)
        check_range(self, "lr", "early", "late", "max_lr", above=0)
        check_range(self, "decay", least=0, below=1)
        if self.blur != 0 and not ascent_rules.LEAST_BLUR <= self.blur <= 100:
            raise UserError(
                f"blur is {self.blur}: expected 0, or {ascent_rules.LEAST_BLUR} to 100 pixels"
            )
        check_range(self, *PERCENTILES, least=0, most=100)
        self.step_rule()

    def step_rule(self) -> optax.GradientTransformationExtraArgs:
        """Return the step rule of one target."""
        return ascent_rules.step_rule(
            self.rule, lr=self.lr, early=self.early, late=self.late, max_lr=self.max_lr
        )

    def regularisers(self) -> list[ascent_rules.Regulariser]:
        """Return the regularisers that have an effect, in the original's order."""
        made: list[ascent_rules.Regulariser] = []
        if self.decay:
            made.append(ascent_rules.decay(self.decay))
        if self.blur:
            made.append(ascent_rules.blur(self.blur, every=self.blur_every))
        if self.small_values:
            made.append(ascent_rules.zero_small_values(self.small_values))
        if self.small_norms:
            made.append(ascent_rules.zero_small_norms(self.small_norms))
        if self.low_benefit:
            made.append(ascent_rules.zero_low_benefit(self.low_benefit))
        if self.low_abs_benefit:
            made.append(ascent_rules.zero_low_benefit(self.low_abs_benefit, absolute=True))
        return made


PERCENTILES = ("small_values", "small_norms", "low_benefit", "low_abs_benefit")


_SEARCHED = AscentConfig("probability", "progress", max_lr=1e7)
_SLOW = dataclasses.replace(_SEARCHED, early=0.03, late=0.05, decay=0.001)

PRESETS: dict[str, AscentConfig] = {
    "adam": AscentConfig(),
    "paper": AscentConfig("probability", "progress", decay=0.01, iterations=300),
    "seed-1": dataclasses.replace(_SEARCHED, early=0.02, late=0.1, iterations=500),
    "seed169": dataclasses.replace(_SEARCHED, early=0.03, late=0.02, decay=0.01, iterations=1500),
    "seed188": dataclasses.replace(_SLOW, blur=0.4, blur_every=2, iterations=1000),
    "seed360": dataclasses.replace(
        _SLOW, blur=0.3, small_norms=20.0, low_abs_benefit=20.0, iterations=1500
    ),
}
"""Settings by the names that the command uses.

"adam" is the baseline of this project. "paper" has the defaults of the original code
(find_fooling_image.py:68-71). The others are the settings of the paper's supplement, named by their
seeds in the original's search (hyperparam_search.py, run_chosen_supplementary.sh).
"""
