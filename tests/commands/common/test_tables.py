import io

from qd_fool.commands.common.console import make_console
from qd_fool.commands.common.tables import markdown_table, text_table


def test_markdown_escapes_what_would_end_a_cell():
    assert markdown_table(("a", "b"), [("x|y", 1)]) == [
        "| a | b |",
        "| --- | --- |",
        r"| x\|y | 1 |",
    ]
    assert markdown_table(("a", "b", "c"), [], numbers=True)[1] == "| --- | ---: | ---: |"


def test_columns_on_a_console():
    out = io.StringIO()
    make_console(file=out).print(text_table(("class", "best"), [("lion", "1"), ("[b]", "22")]))
    assert [line.rstrip() for line in out.getvalue().splitlines()] == [
        "class  best",
        "lion      1",
        "[b]      22",
    ]
