"""The `qd-fool` command: parses into configuration dataclasses, and nothing else."""

import dataclasses
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import jax
import tyro
from rich.console import Console

from qd_fool.commands.ascend.config import AscendConfig
from qd_fool.commands.ascend.resume import stored_ascent
from qd_fool.commands.ascend.run import ascend_run
from qd_fool.commands.common.console import make_console
from qd_fool.commands.common.parse import parse_words
from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.commands.evolve.presets import with_preset
from qd_fool.commands.evolve.resume import stored_config
from qd_fool.commands.evolve.run import evolve_run
from qd_fool.commands.export import ExportConfig, export_run
from qd_fool.commands.figure import FigureConfig, figure_command
from qd_fool.commands.film import FilmConfig, film_run
from qd_fool.commands.models import ModelsConfig, models_command
from qd_fool.commands.render import RenderConfig, render_picture
from qd_fool.commands.report import ReportConfig, report_command
from qd_fool.commands.reproduce.run import ReproduceConfig, reproduce_run
from qd_fool.commands.retrain.config import RetrainConfig
from qd_fool.commands.retrain.run import retrain_run, stored_retrain
from qd_fool.commands.score import ScoreConfig, score_files
from qd_fool.commands.train import TrainConfig, train_run
from qd_fool.commands.transfer.run import TransferConfig, transfer_run
from qd_fool.errors import FieldError, UserError

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
      argv: without the program's name; `sys.argv[1:]` by default.

    Returns:
      The exit code: 0; 2 for bad input, told in one sentence; 130 after Ctrl-C.
    """
    words = _further_networks(list(sys.argv[1:] if argv is None else argv))
    logging.getLogger("absl").setLevel(logging.ERROR)
    console = make_console()
    try:
        return _dispatch(words, console)
    except FieldError as error:
        console.print(f"qd-fool: {error.with_flag()}")
        return EXIT_BAD_INPUT
    except UserError as error:
        console.print(f"qd-fool: {error}")
        return EXIT_BAD_INPUT
    except OSError as error:  # what no check can foresee: a full disk, a vanished directory
        console.print(f"qd-fool: {error}")
        return EXIT_BAD_INPUT
    except (jax.errors.JaxRuntimeError, OverflowError, MemoryError) as error:
        if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        reason = str(error).splitlines()[0]
        console.print(
            f"qd-fool: out of memory: a smaller --chunk, --batch-size or --image-size may do "
            f"({reason})"
        )
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        console.print("qd-fool: interrupted")
        return EXIT_INTERRUPTED


def _dispatch(words: list[str], console: Console) -> int:
    config = _parse(words)
    told = config.devices if isinstance(config, EvolveConfig | AscendConfig) else None
    _make_cores_devices(told)
    match config:
        case EvolveConfig():
            return EXIT_INTERRUPTED if evolve_run(config, console=console).interrupted else 0
        case AscendConfig():
            return EXIT_INTERRUPTED if ascend_run(config, console=console).interrupted else 0
        case RetrainConfig():
            return EXIT_INTERRUPTED if retrain_run(config, console=console).interrupted else 0
        case TransferConfig():
            transfer_run(config, console=console)
        case ReproduceConfig():
            reproduce_run(config, console=console)
        case ScoreConfig():
            score_files(config, console=console)
        case ExportConfig():
            export_run(config, console=console)
        case ReportConfig():
            report_command(config, console=console)
        case RenderConfig():
            render_picture(config, console=console)
        case FilmConfig():
            film_run(config, console=console)
        case FigureConfig():
            figure_command(config, console=console)
        case TrainConfig():
            train_run(config, console=console)
        case ModelsConfig():
            models_command(config, console=make_console(stderr=False), errors=console)
    return 0


def _parse(
    words: list[str],
) -> (
    EvolveConfig
    | AscendConfig
    | TransferConfig
    | RetrainConfig
    | ReproduceConfig
    | ScoreConfig
    | ExportConfig
    | ReportConfig
    | RenderConfig
    | FilmConfig
    | FigureConfig
    | TrainConfig
    | ModelsConfig
):
    sub = tyro.conf.subcommand
    evolve = Annotated[EvolveConfig, sub("evolve", default=_evolve_defaults(words))]
    ascend = Annotated[AscendConfig, sub("ascend", default=_ascend_defaults(words))]
    transfer = Annotated[TransferConfig, sub("transfer")]
    retrain = Annotated[RetrainConfig, sub("retrain", default=_retrain_defaults(words))]
    reproduce = Annotated[ReproduceConfig, sub("reproduce")]
    score = Annotated[ScoreConfig, sub("score")]
    export = Annotated[ExportConfig, sub("export")]
    report = Annotated[ReportConfig, sub("report")]
    render = Annotated[RenderConfig, sub("render")]
    film = Annotated[FilmConfig, sub("film")]
    figure = Annotated[FigureConfig, sub("figure")]
    train = Annotated[TrainConfig, sub("train")]
    models = Annotated[ModelsConfig, sub("models")]
    return parse_words(
        evolve
        | ascend
        | transfer
        | retrain
        | reproduce
        | score
        | export
        | report
        | render
        | film
        | figure
        | train
        | models,
        words,
        prog="qd-fool",
        description="Find fooling images: pictures that look like nothing, "
        "which a classifier is almost certain about.",
        config=(tyro.conf.ConsolidateSubcommandArgs, tyro.conf.OmitArgPrefixes),
    )


def _further_networks(words: list[str]) -> list[str]:
    """`evolve --model A --model B --weights F --weights G`, as the parser knows it: `--also B`."""
    if words[:1] != ["evolve"]:
        return words
    rest: list[str] = []
    seen: dict[str, list[str]] = {"--model": [], "--weights": []}
    i = 0
    while i < len(words):
        name, equals, value = words[i].partition("=")
        if name in seen and (equals or i + 1 < len(words)):
            seen[name].append(value if equals else words[i + 1])
            i += 1 if equals else 2
        else:
            rest.append(words[i])
            i += 1
    for name, values in seen.items():
        rest += [word for value in values[:1] for word in (name, value)]
        if values[1:]:
            rest += ["--also" if name == "--model" else "--also-weights", *values[1:]]
    return rest


def _evolve_defaults(words: list[str]) -> EvolveConfig:
    """What holds where a flag is not given: under --resume, what the run was started with."""
    if words[:1] == ["evolve"] and "--resume" in words:
        run_dir = _value_of(words, "--run-dir")
        if run_dir is None:
            raise UserError("--resume needs --run-dir: which run is to go on?")
        if (run_dir / "run.json").exists():
            stored = dataclasses.replace(stored_config(run_dir), resume=False)
            # One end of a run takes the place of another.
            if _word_after(words, "--generations") is not None:
                stored = dataclasses.replace(stored, evaluations=None)
            if _word_after(words, "--evaluations") is not None:
                stored = dataclasses.replace(stored, generations=None)
            return stored
    if words[:1] == ["evolve"]:
        usual = EvolveConfig()
        told = {name: _word_after(words, f"--{name}") for name in ("preset", "model", "encoding")}
        names = {name: value or getattr(usual, name) for name, value in told.items()}
        return with_preset(names.pop("preset"), **names)
    return EvolveConfig()


def _ascend_defaults(words: list[str]) -> AscendConfig:
    """Likewise, of an ascent."""
    if words[:1] == ["ascend"] and "--resume" in words:
        run_dir = _value_of(words, "--run-dir")
        if run_dir is None:
            raise UserError("--resume needs --run-dir: which ascent is to go on?")
        if (run_dir / "run.json").exists():
            return dataclasses.replace(stored_ascent(run_dir), resume=False)
    return AscendConfig()


def _retrain_defaults(words: list[str]) -> RetrainConfig:
    """Likewise, of a retraining."""
    if words[:1] == ["retrain"] and "--resume" in words:
        run_dir = _value_of(words, "--run-dir")
        if run_dir is None:
            raise UserError("--resume needs --run-dir: which retraining is to go on?")
        if any((run_dir / name).exists() for name in ("run.json", "settings.json")):
            return dataclasses.replace(stored_retrain(run_dir), resume=False)
    return RetrainConfig()


def _value_of(words: list[str], flag: str) -> Path | None:
    word = _word_after(words, flag)
    return None if word is None else Path(word)


def _word_after(words: list[str], flag: str) -> str | None:
    # From the end, as the parser has it: the last word counts.
    for i in reversed(range(len(words))):
        if words[i] in (flag, flag.replace("-", "_").replace("__", "--")):
            return words[i + 1] if i + 1 < len(words) else None
        if words[i].startswith(f"{flag}="):
            return words[i].removeprefix(f"{flag}=")
    return None


def _make_cores_devices(devices: int | None) -> None:
    """Make each CPU core a device of JAX's, before it starts; accelerators are left as they are."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        jax.config.update("jax_num_cpu_devices", devices or cores or 1)
    except RuntimeError as error:
        # Called from a program that has used JAX already: its devices are what there is, and
        # `make_mesh` tells if they are too few.
        logging.getLogger(__name__).debug("devices are left as they are: %s", error)


if __name__ == "__main__":
    sys.exit(main())
