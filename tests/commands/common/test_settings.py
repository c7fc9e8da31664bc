"""A configuration as JSON and as words, and whether a run may continue with another."""

import dataclasses
from pathlib import Path
from typing import Annotated

import pytest
import tyro

from qd_fool.cli import parse
from qd_fool.commands.common.settings import (
    UNRECORDED,
    command_line,
    config_of,
    free,
    outcome,
    record_of,
    refuse_differences,
)
from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.errors import UserError


@dataclasses.dataclass(frozen=True)
class Config:
    """An example."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    to: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    class_name: Annotated[str | None, tyro.conf.arg(name="class")] = None
    seed: int = 0
    rate: float = 1.0
    mean: Path | None = free(None)
    names: tuple[str, ...] = ()
    whole: bool = False
    files: tuple[Path, ...] = dataclasses.field(default=(), metadata=UNRECORDED)


FULL = Config((Path("a"), Path("b")), ("x", "y"), "lion", 3, 0.5, Path("m"), ("p", "q"), True)


def test_a_record_gives_the_configuration_back():
    record = record_of(dataclasses.replace(FULL, files=(Path("f"),)))
    assert record["runs"] == ["a", "b"]
    assert "files" not in record
    assert config_of(Config, record | {"later": 1}, source="run.json", needs=("seed",)) == FULL


def test_what_an_older_version_lacked_takes_its_default():
    config = config_of(Config, {"runs": ["a"], "rate": 2}, source="run.json", needs=(), seed=4)
    assert config == Config((Path("a"),), seed=4, rate=2)


@pytest.mark.parametrize(
    ("record", "output"),
    [
        ({"runs": []}, "run.json lacks seed"),
        ({"runs": [], "seed": "many"}, "run.json: seed is 'many', expected int"),
        ({"runs": [], "seed": 1, "to": "x"}, "run.json: to is 'x', expected list"),
        ({"seed": 1}, "run.json is damaged"),
    ],
)
def test_a_damaged_record_is_one_sentence(record, output):
    with pytest.raises(UserError, match=output):
        config_of(Config, record, source="run.json", needs=("seed",))


def test_free_fields_and_defaults_make_no_difference():
    stored = {"runs": ["a"], "mean": "other", "seed": 0}
    same = outcome(Config, stored), outcome(Config, record_of(Config((Path("a"),))))
    assert same[0] == same[1]
    refuse_differences(Path("r"), *same)
    other = outcome(Config, record_of(dataclasses.replace(FULL, runs=(Path("a"),), seed=0)))
    with pytest.raises(UserError, match=r"cannot resume r: .*rate is 0.5, the run has 1.0.*; this"):
        refuse_differences(Path("r"), same[0], other, also=["this, too"])


def test_the_command_line_of_a_configuration():
    line = "qd-fool show a b --to x --to y --class lion --seed 3 --rate 0.5 --mean m --names p q "
    assert command_line("show", FULL) == line + "--whole"
    assert command_line("show", FULL, whole=None, seed=0, mean=None) == (
        "qd-fool show a b --to x --to y --class lion --seed 0 --rate 0.5 --names p q"
    )
    assert command_line("show", Config((Path("a b"),))) == "qd-fool show 'a b'"


def test_the_parser_takes_the_command_line_back():
    config = EvolveConfig(seed=3, convert=True, photos=Path("p"), minutes=2.0)
    words = command_line("evolve", config, settings=None).split(" ")[1:]
    assert parse(words) == config
