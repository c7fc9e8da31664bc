"""ONNX's own tests of single operators: a sample in the quick tests, all that are claimed else."""

import os

import pytest

pytest.importorskip("onnx", reason="ONNX files are read with the package onnx")

from oracles import onnx_nodes

ALL = os.environ.get("QD_FOOL_LONG") == "1"
EVERY = 1 if ALL else 25


def _claimed():
    return [case for case in onnx_nodes.cases() if not onnx_nodes.unclaimed(case)]


def test_node_tests_pass():
    claimed = _claimed()
    assert len(claimed) > 1000
    problems = [onnx_nodes.problem(case) for case in claimed[::EVERY]]
    assert [problem for problem in problems if problem] == []


def test_what_is_not_of_classifiers_is_refused_in_a_sentence():
    reasons = {why for _, why in onnx_nodes.NOT_OF_CLASSIFIERS.values()}
    cases = [case for case in onnx_nodes.cases() if onnx_nodes.unclaimed(case) in reasons]
    assert len(cases) > 30
    assert all(onnx_nodes.problem(case) for case in cases[::EVERY])
