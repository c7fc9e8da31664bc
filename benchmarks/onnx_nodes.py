"""ONNX's tests of single operators: the number that the reader passes, per operator.

A case counts if the reader has all its operators, and if its types and settings occur in exported
classifiers. The other cases are listed with the reason.
"""

import collections
import sys
from pathlib import Path

from common import report

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from oracles import onnx_nodes

from qd_fool.models.foreign.onnx.operator import OPERATORS


def main() -> None:
    """Run all cases, and write `onnx_nodes.md`."""
    passed, ran = collections.Counter(), collections.Counter()
    left_out, problems = collections.Counter(), []
    for case in onnx_nodes.cases():
        reason = onnx_nodes.unclaimed(case)
        if reason:
            left_out["another operator" if reason.startswith("operator") else reason] += 1
            continue
        # A case of several operators counts for the one that it is named after, the rarest.
        operator = max(onnx_nodes.operators_of(case), key=lambda name: (name != "Constant", name))
        operator = next(
            (n for n in OPERATORS if case.name.startswith(f"test_{n.lower()}")), operator
        )
        problem = onnx_nodes.problem(case)
        ran[operator] += 1
        passed[operator] += not problem
        problems += [problem] if problem else []
        if problem:
            print(problem, flush=True)
    rows = [{"operator": n, "passed": passed[n], "of": ran[n]} for n in sorted(ran)]
    reasons = "; ".join(f"{count} {reason}" for reason, count in left_out.most_common())
    failures = "; ".join(problems) or "none"
    report(
        "onnx_nodes",
        rows,
        words=f"ONNX's node tests: {sum(passed.values())} of the {sum(ran.values())} pass that use "
        f"only the {len(list(OPERATORS))} operators of the reader. Left out of "
        f"{len(onnx_nodes.cases())}: {reasons}. Failures: {failures}.",
    )


if __name__ == "__main__":
    main()
