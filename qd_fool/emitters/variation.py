"""The paper's emitter: parents drawn evenly over the cells, then the encoding's variation."""

from qd_fool.emitters.base import Emitter
from qd_fool.emitters.parents import choose_parents
from qd_fool.emitters.variation_settings import VariationSettings
from qd_fool.encodings import Encoding
from qd_fool.models.network import Network


def variation(
    settings: VariationSettings, encoding: Encoding, scorer: Network | None, crops: int
) -> Emitter:
    """Draw a parent and a mate with replacement, and apply the encoding's variation.

    Args:
      settings: Settings of the emitter.
      encoding: Encoding of the genomes.
      scorer: The network, which this emitter does not need.
      crops: Crops per picture, which this emitter does not need.
    """
    del scorer, crops
    return Emitter(1, choose_parents(settings.parents), encoding.vary)
