"""`qd-fool transfer`: show pictures that fool one network to others (paper: generalization)."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from jaxtyping import Int
from rich.console import Console

from qd_fool.commands.common.foreign import picture_settings
from qd_fool.commands.common.progress import Bar, progress_bar
from qd_fool.commands.common.settings import command_line
from qd_fool.commands.common.team import (
    ending_together,
    join,
    taking_part,
    words_of_follower,
)
from qd_fool.commands.common.together import WITHOUT_TEAM
from qd_fool.commands.transfer.answers import Answers, ask
from qd_fool.commands.transfer.config import TransferConfig
from qd_fool.commands.transfer.figures import Summary, summary_json
from qd_fool.commands.transfer.networks import Network, load_targets
from qd_fool.commands.transfer.notes import enlarged, notes_on, pair_line
from qd_fool.commands.transfer.page import write_page
from qd_fool.commands.transfer.plan import (
    TransferPlan,
    facts_to_agree,
    first_target,
    plan_transfer,
)
from qd_fool.commands.transfer.plots import write_plots
from qd_fool.commands.transfer.sources import Source, read_sources
from qd_fool.commands.transfer.summary import Transfer, summarise, write_csv
from qd_fool.devices.processes import Team, agree, leave_team
from qd_fool.errors import UserError
from qd_fool.files import read_json, write_json
from qd_fool.judge.transfer import SURE
from qd_fool.runs.directory import make_run_dir, new_directory
from qd_fool.scoring.confidence import confidence_of, log_odds_of, percent

RESULT = "transfer.json"


def transfer_run(config: TransferConfig, *, console: Console) -> Path:
    """Score all pictures with all networks, and write tables and plots.

    Args:
      config: Pictures, and networks to show them to.
      console: Console for progress and notes.

    Returns:
      The directory, with `transfer.csv`, `transfer.json`, `transfer.md` and plots.

    Raises:
      UserError: There is nothing to score; a network or a picture can't be read or does not fit;
        or the directory holds something else. Nothing is overwritten.
    """
    team = join(config)
    with ExitStack() as stack:
        # Read networks and the shapes of pictures. Nothing is scored yet.
        said = console if team.leads else Console(quiet=True)
        with taking_part(team):
            if not config.runs:
                raise UserError("transfer needs at least one run or folder of pictures")
            out = _directory(config)
            former = _former_files(out) if team.leads else set()
            picture = picture_settings(config)
            to = load_targets(config.to, config.weights, mean=config.mean, picture=picture)
            sources = stack.enter_context(read_sources(config.runs, first_target(to), console=said))
            planned = plan_transfer(config, sources, to, team=team, console=said)
        if team.count > 1:
            agree(team, facts_to_agree(planned))

        # Score all pictures with all networks.
        if not team.leads:
            console.print(words_of_follower(team))
        with ending_together(team) as end_if_due:
            targets, answers = _ask_all(planned, team=team, console=said, end_if_due=end_if_due)
            leave_team(team)
        if not team.leads:
            console.print(f"process {team.index} is done")
            return out
        summary = _write(planned, targets, answers, out=out, former=former, console=console)

    # Print the counts.
    for source in summary.sources:
        for pair in source.pairs:
            console.print(pair_line(source.name, pair))
    count = len(summary.fool_all)
    console.print(
        f"{count} of {summary.images} pictures fool all networks that were asked at >= {SURE}"
    )
    console.print(f"look at {out / 'transfer.md'}")
    return out


def _write(
    planned: TransferPlan,
    targets: Int[np.ndarray, " images"],
    answers: Answers,
    *,
    out: Path,
    former: set[str],
    console: Console,
) -> Summary:
    """Write the files.

    Args:
      planned: What was scored.
      targets: Target class of each picture.
      answers: Answers of all networks.
      out: Directory to write.
      former: Names of files of a former transfer, which are replaced or deleted.
      console: Console for notes.
    """
    _stand_in(answers, planned.networks, sources=planned.sources, made_against=planned.made_against)
    transfer = Transfer(
        sources=planned.sources,
        networks=planned.networks,
        made_against=planned.made_against,
        targets=targets,
        answers=answers,
        enlarged=[enlarged(network, planned.shapes) for network in planned.networks],
        class_names=planned.class_names,
        crops=planned.config.crops,
    )
    summary = summarise(
        transfer,
        notes=notes_on(transfer, planned.first),
        command=command_line("transfer", planned.config, **WITHOUT_TEAM),
    )
    for note in summary.notes:
        console.print(f"note: {note}")
    make_run_dir(out, flag="--out")
    plots = write_plots(out, summary, transfer)
    write_csv(out / "transfer.csv", transfer)
    summary = dataclasses.replace(summary, files=("transfer.csv", "transfer.md", *plots))
    write_page(out / "transfer.md", summary)
    write_json(out / RESULT, summary_json(summary))
    for name in former - set(summary.files):
        (out / name).unlink(missing_ok=True)
    return summary


def _directory(config: TransferConfig) -> Path:
    if config.out is not None:
        return config.out
    if len(config.runs) == 1:
        return config.runs[0] / "transfer"
    return new_directory(None, "transfer")


def _former_files(out: Path) -> set[str]:
    """Names of the files that a former transfer left in the directory; they may be overwritten.

    Raises:
      UserError: The directory holds something else.
    """
    if not out.exists():
        return set()
    if not out.is_dir():
        raise UserError(f"--out {out} is a file: expected a directory")
    if not any(out.iterdir()):
        return set()
    try:
        former = read_json(out / RESULT)
    except UserError:  # no former transfer
        former = None
    if not isinstance(former, dict) or former.get("kind") != "transfer":
        raise UserError(
            f"--out {out} exists, and is not empty or a former transfer (it has no {RESULT}): "
            "choose another"
        )
    files = [name for name in former.get("files") or () if isinstance(name, str)]
    return {name for name in files if Path(name).name == name}


def _ask_all(
    planned: TransferPlan, *, team: Team, console: Console, end_if_due: Callable[[], None]
) -> tuple[Int[np.ndarray, " images"], Answers]:
    """The targets `(images,)`, and the answers of all networks `(images, networks)`.

    The first network of `--to` is asked first, because its top class is the target of a picture
    whose name states none.

    Args:
      planned: What is to be scored.
      team: Processes that share the pictures.
      console: Console for progress.
      end_if_due: Function to call between batches; it raises if the command must end.

    Raises:
      UserError: A network gives NaN or infinite scores, a picture can't be read any more, or
        another process has ended.
    """
    # Unknown targets are -1; answers of networks that are not asked stay NaN and -1.
    networks, paths = planned.networks, planned.paths
    targets = np.concatenate([source.targets for source in planned.sources])
    shape = (len(paths), len(networks))
    log_odds, best = np.full(shape, np.nan), np.full(shape, np.nan)
    argmax = np.full(shape, -1)

    for j in sorted(range(len(networks)), key=lambda j: j != planned.first):
        network = networks[j]
        if network.scorer is None:
            continue
        begun = time.perf_counter()
        with progress_bar(console, network.name, total=len(paths), transient=True) as bar:

            def count(pictures: int, bar: Bar = bar) -> None:
                bar.advance(pictures)
                end_if_due()

            found = ask(
                network.scorer,
                paths,
                shapes=planned.shapes,
                targets=targets,
                crops=planned.config.crops,
                count=count,
                team=team,
            )

        # Keep the answers. The first network decides the unknown targets.
        log_odds[:, j], argmax[:, j] = found.log_odds, found.argmax
        best[:, j] = found.argmax_log_odds
        targets = np.where(targets < 0, found.argmax, targets)

        # Print the figures of this network.
        confidence = confidence_of(found.log_odds)
        console.print(
            f"{network.name} ({network.weights}): {len(paths)} pictures in "
            f"{time.perf_counter() - begun:.1f} s; median confidence "
            f"{percent(float(np.median(confidence)))}, {(confidence >= SURE).sum()} at >= {SURE}"
        )
    return targets, Answers(log_odds, argmax, best)


def _stand_in(
    answers: Answers,
    networks: Sequence[Network],
    *,
    sources: Sequence[Source],
    made_against: Sequence[Sequence[int]],
) -> None:
    """Fill in, in place, the recorded answers of runs whose network could not be asked.

    Args:
      answers: Answers of all networks.
      networks: Networks, in order.
      sources: Sources, in order.
      made_against: Indices of the networks that each source was made against.
    """
    start = 0
    for source, indices in zip(sources, made_against, strict=True):
        rows = slice(start, start + len(source.paths))
        start = rows.stop
        recorded = source.recorded
        # The confidences of a joint run belong to no single network.
        if recorded is None or source.kind == "joint" or networks[indices[0]].scorer is not None:
            continue
        answers.log_odds[rows, indices[0]] = recorded.log_odds
        answers.argmax[rows, indices[0]] = recorded.argmax
        answers.argmax_log_odds[rows, indices[0]] = log_odds_of(recorded.argmax_confidence)
