"""The same LeNet as five kinds of classifiers: the same metrics within their intervals."""

import lenet_kinds
import pytest
import service as services
from oracles.onnx_graphs import save

import qd_fool
from qd_fool.judge.audit.metrics import metrics_of

pytestmark = pytest.mark.long

SEEDS = 3
BUDGET = {True: 4800, False: 4000}
"""Evaluations with and without a gradient: CPPN evolution gets 2400 of either."""

GRAY = {"mean": 0, "std": 256}


def load(kind, folder):
    if kind == "onnx":
        path = save(lenet_kinds.as_onnx(), folder)
        return qd_fool.from_onnx(path, labels=tuple("0123456789"), **GRAY)
    if kind == "torch":
        torch = pytest.importorskip("torch", reason="modules of PyTorch")
        from qd_fool.models.foreign.torch.load import from_torch

        module = lenet_kinds.as_module(torch)
        return from_torch(
            module, input_size=28, channels="gray", class_names=tuple("0123456789"), **GRAY
        )
    return qd_fool.from_callable(
        lenet_kinds.as_function(), image_shape=(28, 28, 1), class_names=tuple("0123456789"),
        chunk=100, outputs="logits",
    )  # fmt: skip


@pytest.fixture(scope="module")
def native(mnist_test):
    return qd_fool.audit(
        qd_fool.load_scorer("lenet"), photos=photos_of(mnist_test), budget=BUDGET[True], seeds=SEEDS
    )


def photos_of(digits):
    return digits[0][::20], digits[1][::20]


def check_same(report, native):
    """Metrics of photographs are equal; those of searches lie in each other's intervals."""
    found, wanted = metrics_of(report), metrics_of(native)
    for name in ("accuracy", "confidence", "ece", "noise@.5", "patches@.9"):
        assert found[name].value == pytest.approx(wanted[name].value, abs=2e-4), name
    for shown in ("shown-squeezenet", "shown-lite0"):
        for threshold in (".5", ".9", ".99"):
            name = f"{shown}.fooled@{threshold}"
            assert found[name].value == pytest.approx(wanted[name].value, abs=0.02), name
    compared = 0
    for name, metric in found.items():
        method = name.partition(".")[0]
        if metric.low is None or method not in ("cppn", "direct", "gradient"):
            continue
        # Without a gradient, the direct encoding searches in another way, with a larger share.
        if report.settings.shares != native.settings.shares and method == "direct":
            continue
        other = wanted[name]
        assert metric.low <= other.high, name
        assert other.low <= metric.high, name
        compared += 1
    return compared


@pytest.mark.parametrize("kind", ["onnx", "torch", "function"])
def test_another_kind_has_the_same_metrics(kind, native, tmp_path, mnist_test):
    network = load(kind, tmp_path)
    report = qd_fool.audit(
        network, photos=photos_of(mnist_test), budget=BUDGET[kind != "function"], seeds=SEEDS
    )
    assert check_same(report, native) >= 20
    gradient = report.method("gradient") is not None
    assert gradient == report.network.gradient == (kind != "function")


def test_a_service_has_the_same_metrics(native, mnist_test):
    with services.running(lenet_kinds.as_function()) as running:
        network = qd_fool.from_http(
            running.url, image_shape=(28, 28, 1), class_names=tuple("0123456789")
        )
        report = qd_fool.audit(
            network, photos=photos_of(mnist_test), budget=BUDGET[False], seeds=SEEDS
        )
    assert check_same(report, native) >= 20
    assert report.method("gradient") is None
