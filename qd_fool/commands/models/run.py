"""`qd-fool models`: list networks, fetch their weights, check them on photographs."""

import json
from typing import Any

from rich.console import Console
from rich.table import Table

from qd_fool.commands.config import CheckModel, FetchModel, ListModels, ModelsConfig
from qd_fool.lazy import load
from qd_fool.models.fetch import RemoteFile, fetch
from qd_fool.models.origin import describe, locate
from qd_fool.models.zoo import ZOO

FACTS = ("architecture", "parameters", "preprocessing", "accuracy", "source", "licence")


def models_command(config: ModelsConfig, *, console: Console, errors: Console) -> None:
    """List networks, fetch weights or check a network. Only a check imports JAX.

    Args:
      config: Settings of the command.
      console: Standard output, for results.
      errors: Standard error, for progress.

    Raises:
      UserError: There is no such model, or weights or photographs cannot be read.
    """
    match config.action:
        case ListModels():
            _list(console, as_json=config.json or config.action.as_json)
        case FetchModel(name):
            _fetch(name, console)
        case CheckModel():
            check_model = load("qd_fool.commands.models.check:check_model")
            as_json = config.json or config.action.as_json
            check_model(config.action, console=console, errors=errors, as_json=as_json)


def facts_of(name: str) -> dict[str, Any]:
    """The facts of a network, as values for JSON."""
    entry = ZOO[name]
    facts = {"name": name} | {fact: getattr(entry, fact) for fact in FACTS}
    return facts | {k: v for k, v in describe(entry.origin).items() if v}


def _list(console: Console, *, as_json: bool) -> None:
    for name in ZOO:
        facts = facts_of(name)
        if as_json:
            console.print(json.dumps(facts))
            continue
        table = Table(show_header=False, box=None)
        table.add_column(style="bold", no_wrap=True)
        table.add_column()
        for fact, value in facts.items():
            table.add_row(fact, f"{value:,}" if isinstance(value, int) else value)
        console.print(table)
        console.print()


def _fetch(name: str, console: Console) -> None:
    origin = ZOO[name].origin
    path = fetch(origin) if isinstance(origin, RemoteFile) else locate(origin, model=name)
    console.print(f"{name}: {path}")
