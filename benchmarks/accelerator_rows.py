"""The rows of `accelerator.py`, in order of worth. Each is a function from the machine to facts."""

import os

import jax

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
jax.config.update("jax_num_cpu_devices", CORES)  # without an accelerator

import contextlib
import dataclasses
import functools
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from common import evolution_call, forward_call, interleaved, median_ratio
from jax import lax

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from oracles.graphs import cppn, drifted
from oracles.weights import random_flat

from qd_fool import load_scorer
from qd_fool.ascent.blocks import ascend_block, block_size
from qd_fool.ascent.config import PRESETS
from qd_fool.ascent.segments import make_ascent
from qd_fool.commands.evolve.config import evolve_config
from qd_fool.commands.evolve.plan import plan
from qd_fool.devices.mesh import make_mesh, replicate
from qd_fool.encodings import make_encoding
from qd_fool.encodings.cppn import drawing
from qd_fool.models import ZOO

Facts = dict[str, Any]
ROUNDS, LENGTH = 5, 4


def accelerated() -> bool:
    """Whether JAX computes on a GPU or TPU."""
    return jax.default_backend() != "cpu"


@dataclasses.dataclass
class Machine:
    """What rows need to know.

    Attributes:
      weights: Files of weights, by network. Other networks get random ones.
      small: Whether to measure small sizes, as on a CPU.
      folder: Folder for files of random weights, which are large.
    """

    weights: dict[str, str]
    small: bool
    folder: Path

    def file(self, name: str) -> str | None:
        """The file of a network's weights. Random ones are written when they are first needed."""
        if name.startswith("lenet") or name in self.weights:
            return self.weights.get(name)
        path = self.folder / f"{name}.npz"
        np.savez(path, **random_flat(ZOO[name]))
        self.weights[name] = str(path)
        return str(path)

    @functools.cached_property
    def product_flops(self) -> float:
        """Operations per second of a large matrix product in float32 with full precision."""
        return product(self, lax.Precision.HIGHEST, jnp.float32)


def seconds_of(call: Callable[[], Any], rounds: int = ROUNDS) -> float:
    """Median seconds of a call, compiled before."""
    return statistics.median(interleaved({"": call}, rounds=rounds)[""])


def product(facts: Machine, precision: Any, dtype: Any) -> float:
    """Operations per second of a large matrix product."""
    side = 2048 if facts.small else 8192
    a = jnp.ones((side, side), dtype)
    times = jax.jit(lambda a: jnp.matmul(a, a, precision=precision))
    return 2 * side**3 / seconds_of(lambda: times(a))


def the_device(facts: Machine) -> Facts:
    """Memory, and the speed of products."""
    memory = jax.devices()[0].memory_stats() or {}
    tera = {
        name: round(product(facts, precision, dtype) / 1e12, 2)
        for name, precision, dtype in (
            ("float32", lax.Precision.HIGHEST, jnp.float32),
            ("fastest float32", lax.Precision.DEFAULT, jnp.float32),
            ("bfloat16", lax.Precision.DEFAULT, jnp.bfloat16),
        )
    }
    limit = memory.get("bytes_limit")
    return {
        "backend": jax.default_backend(),
        "GiB": round(limit / 2**30) if limit else "-",
        **{f"TFLOP/s of a product in {name}": value for name, value in tera.items()},
    }


@contextlib.contextmanager
def fastest_products() -> Iterator[None]:
    """Networks compiled within the block round float32 as the device likes: TF32 on a GPU."""
    modules = [
        module
        for name, module in sys.modules.items()
        if name.startswith("qd_fool.models.architectures") and hasattr(module, "EXACT")
    ]
    exact = lax.Precision.HIGHEST
    try:
        for module in modules:
            module.EXACT = lax.Precision.DEFAULT
        yield
    finally:
        for module in modules:
            module.EXACT = exact


def forward(facts: Machine, name: str) -> Facts:
    """Images per second by chunk; at the best chunk with faster products, and beside PyTorch."""
    scorer = load_scorer(name, weights=facts.file(name))
    chunks = [2, 10] if facts.small else [32, 100, 200, 400, 800]
    pictures = 20 if facts.small else 1600
    devices = len(jax.devices())
    speeds = {}
    for chunk in chunks:
        shown = -(-pictures // (chunk * devices)) * chunk * devices
        speeds[chunk] = shown / seconds_of(forward_call(scorer, chunk=chunk, pictures=shown), 3)
    best = max(speeds, key=lambda chunk: speeds[chunk])
    size, channels = scorer.input_size, scorer.image_shape[2]
    cost = (
        jax.jit(scorer.apply)
        .lower(scorer.params, jnp.zeros((1, size, size, channels)))
        .compile()
        .cost_analysis()
    )
    found: Facts = {f"images/s at {c}": round(v) for c, v in speeds.items()}
    if cost and cost.get("flops"):
        found["of product"] = round(speeds[best] * cost["flops"] / facts.product_flops / devices, 3)
    shown = -(-pictures // (best * devices)) * best * devices
    runs = {"float32": forward_call(scorer, chunk=best, pictures=shown)}
    with fastest_products():
        runs["fastest float32"] = forward_call(scorer, chunk=best, pictures=shown)
        seconds = interleaved(runs, rounds=ROUNDS)
    found["fastest float32 ÷ float32"] = round(
        median_ratio(seconds["float32"], seconds["fastest float32"]), 3
    )
    return found | beside_pytorch(name, runs["float32"], shown, best)


def beside_pytorch(name: str, in_jax: Callable[[], Any], pictures: int, chunk: int) -> Facts:
    """The forward pass over PyTorch's on the same device, where PyTorch has the network."""
    try:
        import torch
        import torchvision
    except ImportError:
        return {"÷ PyTorch": "not installed"}
    makers = {"squeezenet1.1": "squeezenet1_1", "alexnet": "alexnet"}
    if name not in makers:
        return {}
    there = "cuda" if accelerated() and torch.cuda.is_available() else "cpu"
    net = getattr(torchvision.models, makers[name])(weights=None).eval().to(there)
    x = torch.zeros(chunk, 3, 224, 224, device=there)

    @torch.inference_mode()
    def in_torch() -> None:
        for _ in range(pictures // chunk):
            net(x)
        if there == "cuda":
            torch.cuda.synchronize()

    seconds = interleaved({"jax": in_jax, "torch": in_torch}, rounds=ROUNDS)
    return {"÷ PyTorch": round(median_ratio(seconds["torch"], seconds["jax"]), 3)}


def end_to_end(facts: Machine, name: str, encoding: str, crops: int) -> Facts:
    """Evaluations per second of whole generations, over the bare network on as many pictures."""
    fields: Facts = {"generations": 0, "crops": crops, "encoding": encoding}
    if facts.small:
        fields["batch_size"] = 8
    planned = plan(evolve_config(model=name, weights=facts.file(name), preset="paper", **fields))
    scorer, settings = planned.subject.scorer, planned.map_elites
    generations = evolution_call(planned, length=LENGTH)
    started = time.perf_counter()
    jax.block_until_ready(generations())
    compiled = time.perf_counter() - started
    devices, chunk = len(jax.devices()), settings.chunk
    shown = -(-settings.batch_size * crops // (chunk * devices)) * chunk * devices
    runs = {"whole": generations, "bare": forward_call(scorer, chunk=chunk, pictures=shown)}
    seconds = interleaved(runs, rounds=3 if crops == 10 else ROUNDS)
    share = settings.batch_size * crops * LENGTH / shown
    bare = [x * share for x in seconds["bare"]]
    return {
        "batch": settings.batch_size,
        "chunk": chunk,
        "evaluations/s": round(
            LENGTH * settings.batch_size / statistics.median(seconds["whole"]), 1
        ),
        "÷ bare": round(median_ratio(bare, seconds["whole"]), 3),
        "s to compile": round(compiled, 1),
    }


def players(facts: Machine) -> Facts:
    """Drawing CPPNs: all tapes in step, as on an accelerator, against one tape after another."""
    found: Facts = {}
    for side, drift in ((28, 60), (256, 20)):
        shape = (side, side, 1 if side == 28 else 3)
        count = 8 if facts.small else 200
        genomes = jax.tree.map(lambda a, n=count: a[:n], drifted(cppn(shape), count, drift))
        runs = {}
        for player, branch in (("_in_step", "default"), ("_one_by_one", "cpu")):

            def choose(*operands: Any, branch: str = branch, **branches: Any) -> Any:
                return branches[branch](*operands)

            # An encoding of its own: of one encoding, JAX would keep the first player's program.
            draw = make_encoding("cppn", shape).render
            with replaced(drawing.jax.lax, "platform_dependent", choose):
                jax.block_until_ready(draw(genomes))
            runs[player] = lambda draw=draw, genomes=genomes: draw(genomes)
        seconds = interleaved(runs, rounds=ROUNDS)
        found[f"{side}² in step/s"] = round(count / statistics.median(seconds["_in_step"]))
        found[f"{side}² one by one/s"] = round(count / statistics.median(seconds["_one_by_one"]))
    return found


@contextlib.contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """An attribute of another value within the block."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def ascent(facts: Machine, name: str) -> Facts:
    """Classes climbed per second, and pictures' gradients per second."""
    scorer = load_scorer(name, weights=facts.file(name))
    encoding = make_encoding("direct", scorer.image_shape, color="rgb")
    targets, iterations = (4, 4) if facts.small else (200, 50)
    mesh = make_mesh()
    chunk = max(1, min(targets // len(mesh.devices.flat), 2 if facts.small else 50))
    config = dataclasses.replace(PRESETS["adam"], chunk=chunk, iterations=iterations)
    climb = make_ascent(scorer, encoding, config, mesh=mesh)
    params = replicate(scorer.params, mesh)
    classes = np.arange(targets) % len(scorer.class_names)
    genomes = np.asarray(encoding.init(jax.random.split(jax.random.key(0), targets)))
    values = np.asarray(encoding.variables.take(genomes))
    size = block_size(climb, genomes, values, targets=targets, block=targets)

    def whole() -> None:
        ascend_block(
            climb, params, genomes, values, classes, size=size, count=lambda done, latest: 64
        )

    seconds = seconds_of(whole, 3)
    return {
        "classes/s": round(targets / seconds, 2),
        "gradients/s": round(targets * iterations / seconds),
        "steps": iterations,
    }


def digits(facts: Machine, encoding: str) -> Facts:
    """Generations of MNIST per second, with the paper's settings."""
    config = evolve_config(model="lenet", encoding=encoding, preset="paper", generations=0)
    planned, length = plan(config), 20 if facts.small else 100
    generations = evolution_call(planned, length=length)
    speed = length / seconds_of(generations, 3)
    return {
        "generations/s": round(speed, 1),
        "evaluations/s": round(speed * planned.map_elites.batch_size),
    }


def papers_run(facts: Machine) -> Facts:
    """The paper's ImageNet run with CPPNs: 5000 generations of 400, ten crops, its AlexNet."""
    found = end_to_end(facts, "caffenet", "cppn", 10)
    return found | {"minutes of 2 M evaluations": round(2e6 / found["evaluations/s"] / 60, 1)}


ROWS: dict[str, Callable[[Machine], Facts]] = {
    "device": the_device,
    "forward squeezenet1.1": functools.partial(forward, name="squeezenet1.1"),
    "forward alexnet": functools.partial(forward, name="alexnet"),
    "squeezenet1.1, cppn, one crop": lambda m: end_to_end(m, "squeezenet1.1", "cppn", 1),
    "squeezenet1.1, direct, one crop": lambda m: end_to_end(m, "squeezenet1.1", "direct", 1),
    "the paper's run": papers_run,
    "drawing CPPNs": players,
    "mnist, direct": lambda m: digits(m, "direct"),
    "mnist, cppn": lambda m: digits(m, "cppn"),
    "ascent squeezenet1.1": lambda m: ascent(m, "squeezenet1.1"),
    "squeezenet1.1, cppn, ten crops": lambda m: end_to_end(m, "squeezenet1.1", "cppn", 10),
    "squeezenet1.1, direct, ten crops": lambda m: end_to_end(m, "squeezenet1.1", "direct", 10),
    "forward efficientnet-lite0": functools.partial(forward, name="efficientnet-lite0"),
    "forward lenet": functools.partial(forward, name="lenet"),
}
"""The rows, by name, in the order in which they are measured."""
