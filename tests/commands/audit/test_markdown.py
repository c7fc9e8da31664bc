"""`audit.md` for names that would be markup."""

import dataclasses

from audits import audit_of

from qd_fool.commands.audit.markdown import write_markdown

NAMES = ("<script>alert(1)</script>", "![x](http://evil)", "`code` | *bold*\n# head")


def test_names_from_files_are_text(tmp_path):
    report = audit_of([[100, None, 200], [150, 300, None]], right=[1, 0, 1])
    network = dataclasses.replace(
        report.network, name=NAMES[0], weights=NAMES[1], classes=NAMES[::-1]
    )
    report = dataclasses.replace(report, network=network)
    write_markdown(tmp_path / "audit.md", report, ())
    text = (tmp_path / "audit.md").read_text(encoding="utf-8")
    for markup in ("<script", "![x](", "`code`", "*bold*\n", "\n# head"):
        assert text.replace("\\" + markup, "").find(markup) < 0, markup
    assert "\\<script>alert(1)\\</script>" in text
    assert "\\`code\\` \\| \\*bold\\* # head" in text
