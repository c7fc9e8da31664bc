"""Compare bytes of CPPN pictures with those of a plain float64 walk over the graphs."""

import argparse
import sys
from pathlib import Path

import jax
import numpy as np
from common import report
from rich.progress import track

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from oracles.cppn_walker import to_bytes, walk
from oracles.graphs import cppn, mixed_ages

AGES = range(0, 201, 8)


def compare(encoding, genomes, chunk=50):
    """Shares of bytes per genome, `(genomes,)`: unequal ones, and those off by more than one."""
    height, width, _ = encoding.image_shape
    unequal, far = [], []
    for i in track(range(len(genomes.hidden)), description=f"{height}x{width}"):
        if i % chunk == 0:
            part = jax.tree.map(lambda a, i=i: a[i : i + chunk], genomes)
            images = np.asarray(encoding.render(part)).astype(int)
        expected = to_bytes(walk(encoding.describe(genomes, i), width, height))
        gap = np.abs(images[i % chunk] - expected)
        unequal.append(np.mean(gap > 0))
        far.append(np.mean(gap > 1))
    return np.array(unequal), np.array(far)


def main():
    """Write one row per size and seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--genomes", type=int, default=1000)
    parser.add_argument(
        "--seeds", type=int, default=3, help="number of seeds for the small pictures"
    )
    arguments = parser.parse_args()
    rows = []
    cases = [((28, 28, 1), seed) for seed in range(arguments.seeds)] + [((256, 256, 3), 0)]
    for shape, seed in cases:
        encoding = cppn(shape, color="gray" if shape[2] == 1 else "rgb")
        per_age = -(-arguments.genomes // len(AGES))
        genomes = mixed_ages(encoding, per_age, AGES, seed=1000 * seed)
        genomes = jax.tree.map(lambda a: a[: arguments.genomes], genomes)
        nodes = genomes.hidden + 4 + shape[2]
        unequal, far = compare(encoding, genomes)
        rows.append(
            {
                "size": "x".join(map(str, shape)),
                "seed": seed,
                "genomes": len(nodes),
                "nodes": f"{nodes.min()} to {nodes.max()}",
                "bytes equal": f"{1 - unequal.mean():.5%}",
                "off by more than one": f"{far.mean():.5%}",
                "genomes all equal": f"{np.mean(unequal == 0):.1%}",
                "worst genome": f"{unequal.max():.1%} unequal",
            }
        )
    report(
        "cppn_exactness",
        rows,
        words="Random genomes that drifted for 0 to 200 mutations, drawn in float32 and by a plain "
        "float64 walk over the exported graph (tests/oracles/cppn_walker.py). A byte is 255 |v| "
        "rounded down, so a rounding error of 1e-7 changes about one of 40,000 bytes. Sines with "
        "weights of up to 10 amplify the error tenfold per layer. In a flat picture one such error "
        "changes all bytes (the worst genomes).",
    )


if __name__ == "__main__":
    main()
