"""Settings of encodings and emitters as flags: names, defaults, who may have them, who not."""

import contextlib
import dataclasses
import json
import shutil

import pytest
from paths import ARCHIVES, FIXTURES

from qd_fool.cli import main, parse
from qd_fool.commands.ascend.resume import stored_ascent
from qd_fool.commands.evolve.config import EvolveConfig, evolve_config
from qd_fool.commands.evolve.parts import emitter_shares, encoding_settings
from qd_fool.commands.evolve.plan import plan
from qd_fool.commands.evolve.presets import with_preset
from qd_fool.commands.evolve.resume import check_resumable, stored_config
from qd_fool.emitters.table import EMITTERS
from qd_fool.encodings.cppn.settings import CppnSettings
from qd_fool.encodings.table import ENCODINGS
from qd_fool.errors import UserError
from qd_fool.registry import Entry


@dataclasses.dataclass(frozen=True)
class LeapSettings:
    """Settings.

    Attributes:
      mutations: Mutations per leap.
      far: Whether to leap far.
    """

    mutations: int = 3
    far: bool = False


@pytest.fixture
def leap():
    """An emitter with a setting of the same name as one of the CPPN's."""
    EMITTERS.register("leap")(Entry(LeapSettings, lambda *_: None))
    yield "leap"
    del EMITTERS._table["leap"]


def test_a_registered_emitter_has_its_own_settings(leap):
    """Not the CPPN's of the same name: that was a bug."""
    words = ["evolve", "--encoding", "cppn", "--mutations", "2", "--emitters", "variation,leap:2"]
    config = parse(words)
    assert emitter_shares(config)[1].settings == LeapSettings(mutations=3)
    assert CppnSettings(**encoding_settings(config)).mutations == 2
    config = parse([*words, "--leap-mutations", "5", "--leap-far", "True"])
    assert emitter_shares(config)[1].settings == LeapSettings(mutations=5, far=True)
    assert with_preset(config).settings["leap_mutations"] == 5
    assert EvolveConfig(emitters="leap") == parse(["evolve", "--emitters", "leap"])


def test_its_help_is_shown_with_its_defaults(leap, capsys):
    with pytest.raises(SystemExit):
        main(["evolve", "--help"])
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "--leap-mutations {None}|INT Mutations per leap. (default: 3)" in shown
    assert "--coords" in shown
    assert "--cppn-coords" in shown


@pytest.mark.parametrize(
    ("short", "long", "value", "more"),
    [
        ("coords", "cppn_coords", "normalized", ("--encoding", "cppn")),
        ("mutation_rate", "direct_mutation_rate", 0.2, ()),
        ("crossover_rate", "direct_crossover_rate", 0.5, ()),
        ("crossover_rate", "cppn_crossover_rate", 0.5, ("--encoding", "cppn")),
        ("parents", "variation_parents", "weak", ()),
    ],
)
def test_both_names_of_a_setting_are_the_same(short, long, value, more):
    configs = [
        with_preset(parse(["evolve", f"--{name.replace('_', '-')}", str(value), *more]))
        for name in (short, long)
    ]
    assert configs[0] == configs[1]
    assert configs[0].settings[short] == value
    with pytest.raises(UserError, match="are the same setting"):
        with_preset(evolve_config(encoding=configs[0].encoding, **{short: value, long: "other"}))


@pytest.mark.parametrize(
    ("config", "output"),
    [
        ({"coords": "raw"}, "--coords applies only to the cppn encoding; this run uses direct"),
        ({"cppn_color": "rgb"}, "--cppn-color applies only to the cppn encoding; this run uses"),
        ({"encoding": "cppn", "genes": "int"}, "--genes applies only to the direct encoding"),
        ({"gradient_steps": 8}, "--gradient-steps applies only to the gradient emitter; --emitt"),
        ({"leap_mutations": 3}, "--leap-mutations applies only to the leap emitter; --emitters is"),
        ({"wavelength": 3}, "no encoding or emitter has a setting 'wavelength'"),
    ],
)
def test_a_setting_of_what_is_not_used_is_refused_even_at_its_default(leap, config, output):
    with pytest.raises(UserError) as error:
        with_preset(evolve_config(**config))
    assert output in str(error.value)


def test_a_shared_name_needs_an_encoding_that_has_it():
    @contextlib.contextmanager
    def registered():
        empty = dataclasses.make_dataclass("Empty", [], frozen=True)
        ENCODINGS.register("waves")(Entry(empty, lambda *_: None))
        yield
        del ENCODINGS._table["waves"]

    output = "--color applies only to the cppn and direct encodings; this run uses waves"
    with registered(), pytest.raises(UserError, match=output):
        with_preset(evolve_config(encoding="waves", color="rgb"))


OLD = FIXTURES / "run_of_0.1.0.json"
"""run.json of the version before settings were read from the registries."""


@pytest.fixture
def old(tmp_path):
    run_dir = tmp_path / "old"
    run_dir.mkdir()
    shutil.copy(OLD, run_dir / "run.json")
    return run_dir


def test_a_run_of_an_older_version_is_read(old):
    """Its keys are those of today; settings of encodings that it did not use are left out."""
    record = json.loads(OLD.read_text("utf-8"))["config"]
    config = stored_config(old)
    assert (config.encoding, config.preset) == ("cppn", "fast")
    assert config.settings["mutations"] == 2
    assert "genes" not in config.settings
    filled = with_preset(config)
    assert {name: record[name] for name in filled.settings if name in record} == {
        name: value for name, value in filled.settings.items() if name in record
    }
    assert filled.settings["cppn_add_edge"] == 0.5  # it had no name for that one


def test_flags_replace_the_settings_of_a_resumed_run(old):
    words = ["evolve", "--resume", "--run-dir", str(old)]
    same, other = parse(words), parse([*words, "--cppn-coords-scale", "4", "--generations", "9"])
    assert same == dataclasses.replace(stored_config(old), resume=True)
    assert with_preset(other).settings == with_preset(same).settings | {"coords_scale": 4.0}
    assert (other.generations, other.evaluations) == (9, None)
    direct = parse([*words, "--encoding", "direct"])
    assert set(direct.settings) == {"parents"}


@pytest.mark.parametrize("name", ["mnist_direct", "mnist_cppn"])
def test_reference_archives_can_be_resumed(name):
    """Their run.json has keys that no version writes any more, and lacks later ones."""
    run_dir = ARCHIVES / name
    assert check_resumable(run_dir, plan(stored_config(run_dir)))["status"] == "finished"
    other = dataclasses.replace(stored_config(run_dir), settings={"crossover_rate": 0.5})
    with pytest.raises(UserError, match=r"crossover-rate is 0\.5, the run has 0\.0"):
        check_resumable(run_dir, plan(other))


def test_a_reference_ascent_is_read():
    config = stored_ascent(ARCHIVES / "mnist_ascent")
    assert (config.model, config.resume, config.imports) == ("lenet", True, ())
