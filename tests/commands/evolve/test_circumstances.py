"""What decides a run's bits beside its settings: pinned, or recorded and said at a resume."""

import io
import json

import jax
from command import SMALL, evolve
from run_files import assert_same_archive, copy_of, record, write_record

from qd_fool.commands.common.circumstances import with_parts
from qd_fool.commands.common.console import make_console
from qd_fool.commands.common.pinned import PINNED, pinned_settings

ODD = {
    "jax_threefry_partitionable": False,
    "jax_default_prng_impl": "rbg",
    "jax_random_seed_offset": 5,
    "jax_enable_x64": True,
    "jax_numpy_dtype_promotion": "strict",
}


def test_pins_hold_and_are_taken_out():
    before = {name: getattr(jax.config, name) for name in PINNED}
    assert before == dict(PINNED)  # they are JAX's own defaults
    try:
        for name, value in ODD.items():
            jax.config.update(name, value)
        with pinned_settings():
            assert {name: getattr(jax.config, name) for name in PINNED} == before
        assert {name: getattr(jax.config, name) for name in ODD} == ODD
    finally:
        for name in ODD:
            jax.config.update(name, before[name])


def test_a_setting_of_the_environment_changes_no_bit_of_a_resumed_run(run_dir, tmp_path):
    """`JAX_THREEFRY_PARTITIONABLE=0` on a resume gave another archive."""
    path = tmp_path / "odd"
    assert evolve(path, *SMALL, "--generations", 4) == 0
    jax.config.update("jax_threefry_partitionable", False)
    try:
        assert evolve(path, "--resume", "--generations", 6) == 0
    finally:
        jax.config.update("jax_threefry_partitionable", True)
    assert_same_archive(run_dir, path)
    assert len(record(path)["parts"]) == 1


def test_a_resume_says_what_differs_and_keeps_both_parts(run_dir, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    path = copy_of(run_dir, tmp_path / "moved")
    run = record(path)
    assert run["parts"] == [
        {"from": 0, **{k: run[k] for k in ("versions", "device", "arithmetic")}}
    ]
    for facts in (run, run["parts"][0]):
        facts["versions"]["jax"] = "0.7.9"
        facts["arithmetic"] |= {"XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2", "instructions": "SSE4.2"}
        facts["device"]["count"] = 8  # which changes nothing
    write_record(path, run)
    capsys.readouterr()
    assert evolve(path, "--resume", "--generations", 7) == 0
    said = capsys.readouterr().err
    assert f"note: jax is {jax.__version__}, the run had 0.7.9" in said
    assert "note: XLA_FLAGS is None, the run had --xla_cpu_max_isa=SSE4_2" in said
    assert "note: from here on, results may differ in their last bits" in said
    assert "count" not in said
    first, second = record(path)["parts"]
    assert (first["from"], first["versions"]["jax"]) == (0, "0.7.9")
    assert (second["from"], second["versions"]["jax"]) == (7, jax.__version__)
    assert record(path)["versions"]["jax"] == jax.__version__


def test_runs_of_older_versions_recorded_less():
    said = io.StringIO()
    now = {"versions": {"jax": "2"}, "device": {"kind": "cpu"}, "arithmetic": {"processor": "x"}}
    old = {"versions": {"jax": "1"}, "device": {"kind": "cpu"}}
    record = with_parts(dict(now), old, done=3, console=make_console(file=said))
    assert record["parts"] == [{"from": 0, **old}, {"from": 3, **now}]
    assert said.getvalue().startswith("note: jax is 2, the run had 1\n")
    assert json.dumps(record)
    again = with_parts(dict(now), record, done=9, console=make_console(file=said))
    assert again["parts"] == record["parts"]
