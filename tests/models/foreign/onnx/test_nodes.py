"""ONNX's own tests of single operators: a sample in the quick tests, all that are claimed else."""

import pytest

pytest.importorskip("onnx", reason="ONNX files are read with the package onnx")

from oracles import onnx_nodes

EVERY = 75
"""One case of so many is part of the quick tests."""


def _claimed():
    return [case for case in onnx_nodes.cases() if not onnx_nodes.unclaimed(case)]


@pytest.mark.parametrize("every", [EVERY, pytest.param(1, marks=pytest.mark.long)])
def test_node_tests_pass(every):
    claimed = _claimed()
    assert len(claimed) > 1000
    problems = [onnx_nodes.problem(case) for case in claimed[::every]]
    assert [problem for problem in problems if problem] == []


def test_a_constant_of_64_bits_in_arithmetic_does_not_warn():
    """A warning is an error in these tests."""
    powers = [case for case in _claimed() if case.name.startswith("test_pow_types_int64")]
    assert len(powers) >= 2
    assert [problem for problem in map(onnx_nodes.problem, powers) if problem] == []


def test_what_is_not_of_classifiers_is_refused_in_a_sentence():
    reasons = {why for _, why in onnx_nodes.NOT_OF_CLASSIFIERS.values()}
    cases = [case for case in onnx_nodes.cases() if onnx_nodes.unclaimed(case) in reasons]
    assert len(cases) > 30
    assert all(onnx_nodes.problem(case) for case in cases[::EVERY])
