"""The time of each stage of a generation: select, vary, render, score, insert."""

import os

import jax

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
jax.config.update("jax_num_cpu_devices", CORES)

import argparse
import dataclasses
import statistics

import jax.numpy as jnp
import numpy as np
from common import interleaved, report
from jax.sharding import PartitionSpec

from qd_fool import MapElitesConfig, load_scorer, make_encoding
from qd_fool.devices.chunks import map_chunks
from qd_fool.devices.mesh import AXIS, make_mesh, replicate
from qd_fool.map_elites import ask, tell
from qd_fool.map_elites.segments import make_segment
from qd_fool.map_elites.state import init
from qd_fool.scoring.log_odds import log_odds

BATCH, TIMES = 200, 25


def stages(scorer, encoding, config, devices):
    """Each stage as a function of the state and a counter, which a compiler can't fold away."""
    share = config.batch_size // devices
    still = dataclasses.replace(encoding, vary=lambda keys, parents, mates, generation: parents)

    def indices():
        return jax.lax.axis_index(AXIS) * share + jnp.arange(share, dtype=jnp.int32)

    def select(state, params, made, i):
        state = dataclasses.replace(state, generation=state.generation + i)
        return ask(state, indices(), encoding=still, config=config)

    def vary(state, params, made, i):
        keys = jax.vmap(lambda k: jax.random.fold_in(jax.random.key(k), i))(indices())
        genomes = made["genomes"]
        return encoding.vary(keys, genomes, genomes, state.generation + i)

    def render(state, params, made, i):
        genomes = jax.tree.map(lambda a: jnp.roll(a, i, axis=0), made["genomes"])
        return map_chunks(encoding.render, genomes, chunk=config.chunk)

    def score(state, params, made, i):
        images = made["images"] ^ i.astype(jnp.uint8)
        return map_chunks(lambda x: log_odds(scorer, params, x), images, chunk=config.chunk)

    def insert(state, params, made, i):
        scores = made["scores"] + i.astype(jnp.float32) * 1e-6
        return tell(state, made["offspring"], scores, encoding=encoding, config=config, axis=AXIS)

    return {f.__name__: f for f in (select, vary, render, score, insert)}


def main():
    """Evolve for a while, then time the whole loop and each stage in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", help="weights for lenet instead of the shipped ones")
    parser.add_argument("--encoding", default="cppn")
    parser.add_argument("--evolved", type=int, default=200, help="generations before the clock")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    if BATCH % CORES:
        raise SystemExit(f"{BATCH} offspring do not split evenly over {CORES} devices")
    scorer = load_scorer("lenet", weights=arguments.weights)
    encoding = make_encoding(arguments.encoding, scorer.image_shape)
    config = MapElitesConfig(batch_size=BATCH, chunk=min(scorer.chunk, BATCH // CORES))
    mesh = make_mesh()
    segment = make_segment(scorer, encoding, config, mesh=mesh, length=arguments.evolved + 1)
    params = replicate(scorer.params, mesh)
    state = replicate(init(encoding, 10, seed=0), mesh)
    state, _ = segment(state, params, np.int32(arguments.evolved + 1))
    state = jax.device_get(state)
    timed = make_segment(scorer, encoding, config, mesh=mesh, length=TIMES)

    def prepare(state, params):
        offspring = ask(
            state, jax.lax.axis_index(AXIS) * (BATCH // CORES) + jnp.arange(BATCH // CORES),
            encoding=encoding, config=config,
        )  # fmt: skip
        images = map_chunks(encoding.render, offspring.genomes, chunk=config.chunk)
        scores = map_chunks(lambda x: log_odds(scorer, params, x), images, chunk=config.chunk)
        return {
            "genomes": offspring.genomes, "images": images, "scores": scores,
            "offspring": offspring,
        }  # fmt: skip

    whole, split = PartitionSpec(), PartitionSpec(AXIS)
    shard = lambda f, inputs, outputs: jax.jit(
        jax.shard_map(f, mesh=mesh, in_specs=inputs, out_specs=outputs, check_vma=False)
    )
    placed = replicate(state, mesh)
    made = shard(prepare, (whole, whole), split)(placed, params)
    going = replicate(state, mesh)

    def loop():
        nonlocal going
        going, log = timed(going, params, np.int32(TIMES))
        return going, log

    def repeated(stage):
        def many(state, params, made):
            def once(total, i):
                out = stage(state, params, made, i)
                # The sum uses all outputs, so that the compiler removes nothing.
                leaves = [jnp.sum(a.astype(jnp.float32)) for a in jax.tree.leaves(out)]
                return total + sum(leaves), None

            return jax.lax.scan(once, jnp.float32(0), jnp.arange(TIMES, dtype=jnp.int32))[0][None]

        call = shard(many, (whole, whole, split), split)
        return lambda: call(placed, params, made)

    runs = {"whole loop": loop} | {
        name: repeated(stage) for name, stage in stages(scorer, encoding, config, CORES).items()
    }
    seconds = interleaved(runs, rounds=arguments.rounds)
    median = {name: statistics.median(times) / TIMES for name, times in seconds.items()}
    total = sum(s for name, s in median.items() if name != "whole loop")
    rows = [
        {
            "what": name,
            "ms per generation": round(1e3 * s, 3),
            "share of the sum": "-" if name == "whole loop" else f"{s / total:.1%}",
        }
        for name, s in median.items()
    ] + [{"what": "sum of the stages", "ms per generation": round(1e3 * total, 3),
          "share of the sum": "100%"}]  # fmt: skip
    report(
        f"stages_{arguments.encoding}",
        rows,
        words=f"MAP-Elites on MNIST, {arguments.encoding} encoding, batch {BATCH}, after "
        f"{arguments.evolved} generations, over {CORES} devices. Each stage runs alone, "
        f"{TIMES} times in one call; median of {arguments.rounds} interleaved rounds.",
    )


if __name__ == "__main__":
    main()
