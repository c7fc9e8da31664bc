"""`qd-fool models`: the networks that have a name."""

import dataclasses
import json

import tyro
from rich.console import Console
from rich.table import Table

from qd_fool.models import ZOO

FACTS = (
    "name",
    "architecture",
    "parameters",
    "preprocessing",
    "accuracy",
    "source",
    "licence",
    "shipped",
)


@dataclasses.dataclass(frozen=True)
class ModelsConfig:
    """List the networks: architecture, weights and their source, licence, accuracy."""

    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """A line of JSON a model."""


def list_models(config: ModelsConfig, *, console: Console) -> None:
    """Print the zoo."""
    if config.json:
        for name in ZOO:
            facts = {fact: getattr(ZOO[name], fact) for fact in FACTS}
            console.print(json.dumps(facts), soft_wrap=True, markup=False, highlight=False)
        return
    for name in ZOO:
        table = Table(show_header=False, box=None)
        table.add_column(style="bold", no_wrap=True)
        table.add_column()
        for fact in FACTS:
            value = getattr(ZOO[name], fact)
            table.add_row(fact, f"{value:,}" if isinstance(value, int) else value)
        console.print(table)
        console.print()
