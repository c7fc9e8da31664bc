"""A run directory that kept all genomes, each of one colour of its own; no network runs."""

import json

import jax.numpy as jnp
import numpy as np
from synthetic_run import write_run

from qd_fool.encodings import make_encoding
from qd_fool.runs.genomes import GenomeLog, write_genome_log

SIDE = 4


def colour_of(child):
    """Never gray, and another for each individual of a short run."""
    return 255, child * 7 % 251, child % 249


def write_film_run(path, *, labels="abcdefghijkl", seed=0):
    """Write it; returns the log and who holds each cell in the end."""
    events, _, held = write_run(path, labels=labels, side=SIDE, seed=seed, encoding="direct")
    run = json.loads((path / "run.json").read_text())
    settings = {"color": "rgb"}
    (path / "run.json").write_text(json.dumps(run | {"encoding_settings": settings}))
    encoding = make_encoding("direct", (SIDE, SIDE, 3), **settings)
    ids, first = np.unique(events["id"].astype(np.int64), return_index=True)
    genomes = np.array([np.tile(colour_of(int(k)), SIDE * SIDE) for k in ids], np.uint8)
    assert (
        np.asarray(encoding.render(jnp.asarray(genomes[:1])))[0] == colour_of(int(ids[0]))
    ).all()
    write_genome_log(path, GenomeLog(ids, events["parent_id"].astype(np.int64)[first], genomes))
    child, fitness, born, parent, cell = (np.array(column) for column in zip(*held, strict=True))
    np.savez(
        path / "archive.npz",
        **{
            "archive.genomes": genomes[np.searchsorted(ids, child)],
            "archive.fitness": fitness.astype(np.float32),
            "archive.id": child.astype(np.int32),
            "archive.parent_id": parent.astype(np.int32),
            "archive.parent_class": cell.astype(np.int32),
            "archive.born": born.astype(np.int32),
        },
    )
    return events, held
