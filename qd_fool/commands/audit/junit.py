"""`junit.xml`: the conditions of an audit as test cases, for CI systems."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

from qd_fool.files import replacing
from qd_fool.judge.audit.conditions import Outcome
from qd_fool.judge.audit.report import AuditReport
from qd_fool.judge.audit.words import verdict


def write_junit(path: Path, report: AuditReport, outcomes: Sequence[Outcome]) -> None:
    """Write one test case per condition. An audit without conditions has one that passes.

    Args:
      path: Path of the file.
      report: Result of the audit.
      outcomes: Results of the conditions and of the comparison.
    """
    checks = list(outcomes) or [Outcome("audit finished", False, " ".join(verdict(report)))]
    failures = sum(check.failed for check in checks)
    counts = {"tests": str(len(checks)), "failures": str(failures), "errors": "0"}
    suites = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "qd-fool audit", **counts})
    for check in checks:
        names = {"classname": f"qd-fool.audit.{report.network.name}", "name": check.name}
        case = ElementTree.SubElement(suite, "testcase", names)
        if check.failed:
            failure = ElementTree.SubElement(case, "failure", {"message": check.words})
            failure.text = check.words
        else:
            ElementTree.SubElement(case, "system-out").text = check.words
    ElementTree.indent(suites)
    with replacing(path) as partial:
        ElementTree.ElementTree(suites).write(partial, encoding="utf-8", xml_declaration=True)
