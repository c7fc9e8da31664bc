"""Notes of `qd-fool transfer`: sentences beside the figures."""

from collections.abc import Sequence

from qd_fool.commands.transfer.answers import Shape, is_small
from qd_fool.commands.transfer.figures import PairRow
from qd_fool.commands.transfer.networks import Network
from qd_fool.commands.transfer.summary import Transfer
from qd_fool.models.sides import size_in_words


def enlarged(network: Network, shapes: Sequence[Shape]) -> tuple[int, int]:
    """The number of pictures that are enlarged for a network, and their side; or 0, 0."""
    scorer = network.scorer
    if scorer is None:
        return 0, 0
    count = sum(is_small(scorer, shape) for shape in shapes)
    return count, min(scorer.image_shape[:2]) if count else 0


def notes_on(transfer: Transfer, first: int) -> list[str]:
    """Sentences that a reader of the figures needs.

    Args:
      transfer: Pictures, networks and answers.
      first: Index of the first network of `--to`.
    """
    names = [network.name for network in transfer.networks]
    notes = []
    for j, network in enumerate(transfer.networks):
        count, side = transfer.enlarged[j]
        if count and network.scorer is not None:
            size = size_in_words(network.scorer.input_size)
            notes.append(
                f"{count} of {len(transfer.targets)} pictures are smaller than the {size} "
                f"input of {names[j]}, and were enlarged for it: short side {side}, bicubic"
            )
        if network.scorer is None:
            notes.append(
                f"{names[j]} could not be asked: it has figures only for its own runs, "
                "which recorded them"
            )
    for source in transfer.sources:
        if unknown := source.told_by.get("nothing"):
            notes.append(
                f"{source.name}: the names of {unknown} of {len(source.paths)} pictures give no "
                f"class: their target is the class that {names[first]} is most confident about"
            )
        crops = source.run.get("config", {}).get("crops", transfer.crops)
        if crops != transfer.crops:
            notes.append(
                f"{source.name} was made with {crops} crops per picture, and is scored here with "
                f"{transfer.crops}"
            )
        if source.run and source.run.get("status") != "finished":
            notes.append(f"{source.name} is not finished: it is {source.run.get('status')}")
    return notes


def pair_line(source: str, pair: PairRow) -> str:
    """The paper's counts for one pair of networks, in one line."""
    counted = [
        f"at >= {threshold} {counts.both} fool both, {counts.a_only} only the first, "
        f"{counts.b_only} only the second"
        for threshold, counts in pair.at.items()
    ]
    return f"{source}: {pair.a} and {pair.b}: {'; '.join(counted)}"
