"""The tables of names, and the flags of what they hold."""

import dataclasses
from pathlib import Path
from typing import Literal

import pytest

from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.errors import UserError
from qd_fool.registry import (
    COMMAND_FLAGS,
    Entry,
    Registry,
    SettingsRegistry,
    all_settings,
    attribute_texts,
    setting,
)


def test_names_are_unique_and_unknown_ones_are_told():
    table: Registry[int] = Registry("number")
    assert table.register("one")(1) == 1
    assert (table["one"], list(table)) == (1, ["one"])
    with pytest.raises(ValueError, match="'one' is registered already"):
        table.register("one")(2)
    with pytest.raises(UserError, match="unknown number 'two': expected one of one"):
        table["two"]


def settings_class(**fields):
    """A frozen dataclass with these defaults."""
    made = [(name, type(value), value) for name, value in fields.items()]
    return dataclasses.make_dataclass("Settings", made, frozen=True)


def color(default=None, **more):
    """A dataclass with a field that asks for the short name `color`."""
    field = setting(default, flag="color", **more)
    return dataclasses.make_dataclass("Settings", [("color", str, field)], frozen=True)


def tables():
    family: list[SettingsRegistry] = []
    return SettingsRegistry("encoding", family), SettingsRegistry("emitter", family)


def build(*_):
    return "built"


def test_a_setting_is_named_by_its_owner_and_field():
    encodings, emitters = tables()
    encodings.register("my-waves")(Entry(settings_class(step=0.3), build))
    emitters.register("leap")(Entry(settings_class(mutations=3), build))
    encodings.register("direct")(Entry(color(choices=Literal["gray", "rgb"]), build))
    (waves, direct), (leap,) = encodings.settings(), emitters.settings()
    assert (waves.names, waves.type, waves.default) == (("my_waves_step",), float, 0.3)
    assert (leap.names, leap.kind) == (("leap_mutations",), "emitter")
    assert (direct.names, direct.key) == (("color", "direct_color"), "color")
    assert direct.type == Literal["gray", "rgb"]
    assert encodings["direct"].build() == "built"


def test_a_builder_may_be_named_by_its_place():
    assert Entry(settings_class(), "pathlib:Path").build is Path


@pytest.mark.parametrize(
    ("name", "settings", "output"),
    [
        ("batch", settings_class(size=3), "encoding 'batch': --batch-size is a flag of the comm"),
        ("leap", settings_class(far=2), "--leap-far is a flag of the emitter 'leap' already"),
        ("other", color(), "encoding 'other': --color is a flag of the encoding 'direct' already"),
        ("other", color(choices=int, shared=True), "--color is a flag of the encoding 'direct'"),
        ("a b", settings_class(), "expected a name of letters"),
        ("other", int, "expected a frozen dataclass"),
        ("other", dataclasses.make_dataclass("S", [("a", int)], frozen=True), "'a' has no default"),
        ("other", dataclasses.make_dataclass("S", [("a", int, 1)]), "expected a frozen dataclass"),
    ],
)
def test_a_clash_is_refused_where_a_thing_is_registered(name, settings, output):
    encodings, emitters = tables()
    encodings.register("direct")(Entry(color(shared=True), build))
    emitters.register("leap")(Entry(settings_class(far=1), build))
    with pytest.raises(ValueError, match=output):
        encodings.register(name)(Entry(settings, build))
    assert list(encodings) == ["direct"]


def test_encodings_may_share_a_short_name_if_both_say_so():
    encodings, _ = tables()
    encodings.register("direct")(Entry(color(shared=True), build))
    encodings.register("other")(Entry(color("rgb", shared=True), build))
    assert [s.names for s in encodings.settings()] == [
        ("color", "direct_color"),
        ("color", "other_color"),
    ]


def test_help_is_read_from_the_attributes_of_the_docstring():
    class Base:
        """Base.

        Attributes:
          far: Distance
            (none: 0).
          low, high: Bounds.

        More text.
        """

    class Derived(Base):
        """Derived.

        Attributes:
            high: Upper bound.
        """

    texts = {"far": "Distance (none: 0).", "low": "Bounds.", "high": "Upper bound."}
    assert attribute_texts(Derived) == texts


def test_every_built_in_setting_has_a_help_text_and_the_commands_own_flags_are_known():
    assert [s.name for s in all_settings() if not s.help] == []
    fields = {field.name for field in dataclasses.fields(EvolveConfig)}
    assert fields | {"help", "import"} == COMMAND_FLAGS
