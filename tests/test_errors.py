import dataclasses

import pytest

from qd_fool.cli import main
from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.errors import FieldError, UserError, check_range
from qd_fool.models.preprocessing import read_mean
from qd_fool.runs.stored import encoding_of_run


@dataclasses.dataclass(frozen=True)
class Settings:
    batch_size: int | float | None = 1


def test_bad_input_is_a_value_error():
    assert issubclass(FieldError, UserError)
    assert issubclass(UserError, ValueError)


@pytest.mark.parametrize(
    ("limits", "good", "bad", "expected"),
    [
        ({"least": 1}, (1, 2.5, None), (0, float("nan"), float("inf")), "1 or more"),
        ({"least": 0, "most": 1}, (0, 1), (-0.1, 1.1, float("nan")), "0 to 1"),
        ({"most": 9}, (9, -9), (10,), "9 or fewer"),
        ({"above": 0}, (0.1,), (0, float("inf")), "more than 0"),
        ({"above": 0, "below": 1}, (0.5,), (0, 1), "more than 0 and less than 1"),
        ({"least": 0, "below": 1}, (0, 0.9), (1,), "0 to below 1"),
        ({"above": 0, "most": 1_000_000}, (1e6,), (0, 2e6), "more than 0, up to 1,000,000"),
        ({"below": 3}, (2,), (3,), "less than 3"),
    ],
)
def test_ranges(limits, good, bad, expected):
    for value in good:
        check_range(Settings(value), "batch_size", **limits)
    for value in bad:
        with pytest.raises(FieldError) as raised:
            check_range(Settings(value), "batch_size", **limits)
        assert str(raised.value) == f"batch_size is {value}: expected {expected}"
        assert raised.value.with_flag() == f"--batch-size is {value}: expected {expected}"


def test_a_setting_of_something_registered_has_its_name_before_it():
    with pytest.raises(FieldError, match=r"^leap_batch_size is 0: expected 1 or more$") as raised:
        check_range(Settings(0), "batch_size", least=1, owner="leap")
    assert raised.value.with_flag().startswith("--leap-batch-size is 0")


def test_the_command_names_the_flag_in_one_sentence(capsys):
    assert main(["evolve", "--batch-size", "0"]) == 2
    assert capsys.readouterr().err == "qd-fool: --batch-size is 0: expected 1 or more\n"
    with pytest.raises(UserError, match=r"^batch_size is 0: expected 1 or more"):
        EvolveConfig(batch_size=0)


def test_wrong_words_are_explained_by_the_parser(capsys):
    with pytest.raises(SystemExit) as raised:
        main(["evolve", "--batch-size", "many"])
    assert raised.value.code == 2
    assert "batch-size" in capsys.readouterr().err


def test_a_mean_image_of_another_form_keeps_its_own_message(tmp_path):
    (tmp_path / "mean.binaryproto").write_bytes(b"no blob")
    with pytest.raises(UserError, match=r"not a whole Caffe blob \(7 bytes\)$"):
        read_mean(tmp_path / "mean.binaryproto", size=2)
    (tmp_path / "mean.npy").write_bytes(b"no array")
    with pytest.raises(UserError, match=r"mean\.npy: expected a \.npy file of numbers"):
        read_mean(tmp_path / "mean.npy", size=2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mutation_rate": 2.0}, r"^mutation_rate is 2\.0: expected 0 to 1$"),
        ({"mutation_rate": "x"}, r"^run\.json: encoding_settings can't be read"),
    ],
)
def test_the_settings_of_a_stored_run_keep_their_own_message(settings, message):
    run = {
        "image_shape": [28, 28, 1],
        "encoding_settings": settings,
        "config": {"encoding": "direct"},
    }
    with pytest.raises(UserError, match=message):
        encoding_of_run(run, source="run.json")
