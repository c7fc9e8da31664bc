"""The `qd-fool` command: parses words into a configuration, and runs its command.

Neither JAX nor a command's code is imported before a command runs, so that help and wrong flags are
answered at once.
"""

import contextlib
import dataclasses
import importlib.metadata
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Union

import tyro
from rich.console import Console

from qd_fool.commands.ascend.config import AscendConfig
from qd_fool.commands.audit.config import AuditConfig
from qd_fool.commands.common.console import escape_what_stdout_lacks, make_console
from qd_fool.commands.common.imports import (
    GROUP,
    import_packages,
    named_files,
    named_places,
)
from qd_fool.commands.common.parse import parse_words
from qd_fool.commands.common.pinned import check_platforms, pinned_settings
from qd_fool.commands.common.plain_text import plain_text
from qd_fool.commands.common.reasons import reason_of
from qd_fool.commands.common.signals import EXIT_INTERRUPTED, Stop, own_signals
from qd_fool.commands.config import (
    ExportConfig,
    FetchModel,
    FigureConfig,
    FilmConfig,
    ListModels,
    ModelsConfig,
    RenderConfig,
    ReportConfig,
    ScoreConfig,
    TrainConfig,
)
from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.commands.evolve.parser import config_of_flags, evolve_flags, flags_of
from qd_fool.commands.reproduce.config import ReproduceConfig
from qd_fool.commands.retrain.config import RetrainConfig
from qd_fool.commands.transfer.config import TransferConfig
from qd_fool.errors import UserError
from qd_fool.lazy import load
from qd_fool.models.foreign.settings import NAMED
from qd_fool.user_files import import_file

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2

LOUD = ("absl", "asyncio")
"""Loggers that print tracebacks of errors in the background, which reach the command, too."""


@dataclasses.dataclass(frozen=True)
class Command:
    """A command: the class of its configuration, and the function that runs it.

    Attributes:
      config: Class of its configuration.
      run: Place of the function that runs it, "module:function".
      stored: Place of the function that reads the configuration of a run to resume, if the command
        can resume runs.
      noun: Word for a run of this command, for messages.
    """

    config: type[Any]
    run: str
    stored: str | None = None
    noun: str = "run"


COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        "evolve": Command(
            EvolveConfig,
            "qd_fool.commands.evolve.run:evolve_run",
            "qd_fool.commands.evolve.resume:stored_config",
        ),
        "ascend": Command(
            AscendConfig,
            "qd_fool.commands.ascend.run:ascend_run",
            "qd_fool.commands.ascend.resume:stored_ascent",
            "ascent",
        ),
        "audit": Command(AuditConfig, "qd_fool.commands.audit.run:audit_run"),
        "transfer": Command(TransferConfig, "qd_fool.commands.transfer.run:transfer_run"),
        "retrain": Command(
            RetrainConfig,
            "qd_fool.commands.retrain.run:retrain_run",
            "qd_fool.commands.retrain.run:stored_retrain",
            "retraining",
        ),
        "reproduce": Command(ReproduceConfig, "qd_fool.commands.reproduce.run:reproduce_run"),
        "score": Command(ScoreConfig, "qd_fool.commands.score:score_files"),
        "export": Command(ExportConfig, "qd_fool.commands.export:export_run"),
        "report": Command(ReportConfig, "qd_fool.commands.report:report_command"),
        "render": Command(RenderConfig, "qd_fool.commands.render:render_picture"),
        "film": Command(FilmConfig, "qd_fool.commands.film:film_run"),
        "figure": Command(FigureConfig, "qd_fool.commands.figure:figure_command"),
        "train": Command(TrainConfig, "qd_fool.commands.train:train_run"),
        "models": Command(ModelsConfig, "qd_fool.commands.models.run:models_command"),
    }
)
"""The commands, in the order of `qd-fool --help`."""

WITHOUT_JAX = (ListModels, FetchModel)
"""Actions of `qd-fool models` that do not import JAX."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
      argv: Words without the program's name. By default those of the process, which then exists
        for this command alone.

    Returns:
      The exit code: 0; 1 if a condition of an audit failed; 2 for bad input, with a one-sentence
      error; 130 after Ctrl-C or another signal to stop.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    for name in LOUD:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    console, own_process = make_console(), argv is None
    if own_process:
        escape_what_stdout_lacks()
    try:
        further = _word_after(words, "--stop-signal")
        with own_signals(further=further, own_process=own_process, announce=console.print) as stop:
            return _run(words, stop, console)
    except UserError as error:  # there is no such signal
        console.print(f"qd-fool: {plain_text(str(error), lines=False)}")
        return EXIT_BAD_INPUT


def _run(words: Sequence[str], stop: Stop, console: Console) -> int:
    """Run the command that words describe, while signals are handled; its exit code."""
    try:
        import_extensions(words)
        code = _dispatch(parse(words), console)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return _interrupted(console)
    except BrokenPipeError:
        # The reader of the results has seen enough. Nothing is left for Python to write at the end.
        sys.stdout = None
        return 0
    except Exception as error:
        if stop:  # JAX has wrapped the interrupt in an error of its own
            return _interrupted(console)
        reason = reason_of(error)
        if reason is None:
            raise
    console.print(f"qd-fool: {plain_text(reason, lines=False)}")
    return EXIT_BAD_INPUT


def _interrupted(console: Console) -> int:
    console.print("qd-fool: interrupted")
    return EXIT_INTERRUPTED


def import_extensions(words: Sequence[str]) -> None:
    """Import the files that words name and the entry points of packages, which add flags.

    Args:
      words: Words of the command line.

    Raises:
      UserError: A file is missing, or a file or a package has an error.
    """
    NAMED.update(named_places(words))
    files = named_files(words)
    if files or importlib.metadata.entry_points(group=GROUP):
        # An import may start JAX, which fixes the number of its devices.
        _make_cores_devices(None)
        import_packages()
    for file in files:
        import_file(file)


def _dispatch(config: Any, console: Console) -> int:
    needs_jax = not isinstance(getattr(config, "action", None), WITHOUT_JAX)
    if needs_jax:
        devices = getattr(config, "devices", None)
        together = getattr(config, "processes", None) or getattr(config, "distributed", False)
        if devices and together:
            # Processes that share a machine would each start threads for all of its cores.
            os.environ.setdefault("PJRT_NPROC", str(devices))
        _make_cores_devices(devices)
        check_platforms()
    command = next(command for command in COMMANDS.values() if isinstance(config, command.config))
    consoles = {"console": console}
    if isinstance(config, ModelsConfig):  # the one command whose result may be a table
        consoles = {"console": make_console(stderr=False), "errors": console}
    run = load(command.run)
    with pinned_settings() if needs_jax else contextlib.nullcontext():
        result = run(config, **consoles)
    if getattr(result, "interrupted", False):
        return EXIT_INTERRUPTED
    return EXIT_FAILED if getattr(result, "failed", False) else 0


def parse(words: Sequence[str]) -> Any:
    """Parse words into a configuration. Exits if the words are wrong or ask for help.

    Args:
      words: Words of the command line.

    Raises:
      UserError: The run cannot be resumed.
    """
    stored = _stored(words)
    kinds, flags = [], evolve_flags()
    for name, command in COMMANDS.items():
        kind: Any = flags if command.config is EvolveConfig else command.config
        about: dict[str, Any] = {}
        if stored is not None and isinstance(stored, command.config):
            about["default"] = flags_of(stored, flags) if kind is flags else stored
        kinds.append(Annotated[kind, tyro.conf.subcommand(name, **about)])
    union: Any = Union[tuple(kinds)]  # noqa: UP007  # made at run time
    parsed = parse_words(
        union,
        words,
        prog="qd-fool",
        description="Find fooling images: pictures that look like nothing to a person, and that a "
        "classifier assigns to a class with high confidence.",
        config=(tyro.conf.ConsolidateSubcommandArgs, tyro.conf.OmitArgPrefixes),
    )
    return config_of_flags(parsed, stored) if isinstance(parsed, flags) else parsed


def _stored(words: Sequence[str]) -> Any:
    """The configuration of the run to resume, which holds for flags that are not given."""
    command = COMMANDS.get(words[0]) if words else None
    if command is None or command.stored is None or "--resume" not in words:
        return None
    word = _word_after(words, "--run-dir")
    if word is None:
        raise UserError(f"--resume needs --run-dir: the {command.noun} to continue")
    run_dir = Path(word)
    if not any((run_dir / name).exists() for name in ("run.json", "settings.json")):
        return None
    stored = dataclasses.replace(load(command.stored)(run_dir), resume=False)
    if isinstance(stored, EvolveConfig):  # --generations and --evaluations replace each other
        if _word_after(words, "--generations") is not None:
            stored = dataclasses.replace(stored, evaluations=None)
        if _word_after(words, "--evaluations") is not None:
            stored = dataclasses.replace(stored, generations=None)
    return stored


def _word_after(words: Sequence[str], flag: str) -> str | None:
    # The search starts at the end, because the parser uses the last occurrence.
    for i in reversed(range(len(words))):
        if words[i] in (flag, flag.replace("-", "_").replace("__", "--")):
            return words[i + 1] if i + 1 < len(words) else None
        if words[i].startswith(f"{flag}="):
            return words[i].removeprefix(f"{flag}=")
    return None


def _make_cores_devices(devices: int | None) -> None:
    """Make each CPU core a JAX device, before JAX starts. Accelerators do not change."""
    update = load("jax:config").update
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        update("jax_num_cpu_devices", devices or cores or 1)
    except RuntimeError as error:
        # The calling program has used JAX already, so the number of devices is fixed.
        # `make_mesh` reports an error if there are too few.
        logging.getLogger(__name__).debug("devices are left as they are: %s", error)


if __name__ == "__main__":
    sys.exit(main())
