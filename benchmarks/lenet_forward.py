"""The fastest form of LeNet's forward pass: layout, pooling, chunk, host devices.

All forms run in one process, interleaved. Each is checked to compute the same. The form that this
project uses is the row with `ours`.
"""

import itertools
import statistics

import jax

jax.config.update("jax_num_cpu_devices", 2)

import jax.numpy as jnp
import numpy as np
from common import interleaved, median_ratio, report
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec

from qd_fool import load_scorer
from qd_fool.devices.chunks import map_chunks
from qd_fool.devices.mesh import AXIS, make_mesh
from qd_fool.models.architectures.lenet import flat_from_params

BATCH, CALLS, ROUNDS = 200, 4, 9
CHUNKS = (25, 50, 100, 200)


def max_pool(x, layout, form):
    """Pool 2x2 with stride 2, in one of three forms."""
    if form == "reduce_window":
        window = (1, 2, 2, 1) if layout == "NHWC" else (1, 1, 2, 2)
        return lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")
    h = 1 if layout == "NHWC" else 2
    if form == "slices":
        rows = jnp.maximum(*(lax.slice_in_dim(x, i, None, 2, h) for i in (0, 1)))
        return jnp.maximum(*(lax.slice_in_dim(rows, i, None, 2, h + 1) for i in (0, 1)))
    s = x.shape
    shape = (*s[:h], s[h] // 2, 2, s[h + 1] // 2, 2, *s[h + 2 :])
    return x.reshape(shape).max((h + 1, h + 3))


def lenet(flat, images, layout, pool):
    """Logits of 8-bit images `(n, 28, 28, 1)`, from OIHW weights."""
    kernel_layout = "HWIO" if layout == "NHWC" else "OIHW"

    def conv(x, name):
        w = flat[f"{name}.weight"]
        w = w.transpose(2, 3, 1, 0) if layout == "NHWC" else w
        bias = flat[f"{name}.bias"].reshape((-1,) if layout == "NHWC" else (-1, 1, 1))
        numbers = (layout, kernel_layout, layout)
        return lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=numbers) + bias

    x = images.astype(jnp.float32) / 256
    x = x if layout == "NHWC" else x.transpose(0, 3, 1, 2)
    x = max_pool(conv(x, "conv1"), layout, pool)
    x = max_pool(conv(x, "conv2"), layout, pool)
    ip1 = flat["ip1.weight"]
    if layout == "NHWC":
        ip1 = ip1.reshape(500, 50, 4, 4).transpose(0, 2, 3, 1).reshape(500, 800)
    x = jax.nn.relu(x.reshape(x.shape[0], -1) @ ip1.T + flat["ip1.bias"])
    return x @ flat["ip2.weight"].T + flat["ip2.bias"]


def main():
    """Time every form."""
    scorer = load_scorer("lenet")
    flat = {k: jnp.asarray(v) for k, v in flat_from_params(scorer.params).items()}
    images = np.random.default_rng(0).integers(0, 256, (BATCH, 28, 28, 1), dtype=np.uint8)
    expected = np.asarray(scorer.apply(scorer.params, scorer.preprocess(images.astype(np.float32))))
    runs = {}

    def add(name, params, forward):
        for devices, chunk in itertools.product((1, 2), CHUNKS):
            if BATCH // devices % chunk:
                continue
            mesh = make_mesh(devices)
            whole, split = PartitionSpec(), PartitionSpec(AXIS)
            call = jax.jit(
                jax.shard_map(
                    lambda p, x, c=chunk: map_chunks(lambda y: forward(p, y), x, chunk=c),
                    mesh=mesh,
                    in_specs=(whole, split),
                    out_specs=split,
                )
            )
            p = jax.device_put(params, NamedSharding(mesh, whole))
            x = jax.device_put(images, NamedSharding(mesh, split))
            np.testing.assert_allclose(call(p, x), expected, atol=1e-3)
            # Several calls per measurement: dispatch overlaps with work, as in a real loop.
            runs[(*name, chunk, devices)] = lambda call=call, p=p, x=x: [
                call(p, x) for _ in range(CALLS)
            ]

    for layout, pool in itertools.product(("NHWC", "NCHW"), ("reduce_window", "slices", "reshape")):
        add((layout, pool, ""), flat, lambda p, x, a=layout, b=pool: lenet(p, x, a, b))
    add(
        ("NHWC", "reduce_window", "ours"),
        scorer.params,
        lambda p, x: scorer.apply(p, scorer.preprocess(x.astype(jnp.float32))),
    )
    seconds = interleaved(runs, rounds=ROUNDS)
    best = min(seconds, key=lambda name: statistics.median(seconds[name]))
    rows = [
        {
            "layout": name[0],
            "pooling": name[1],
            "": name[2],
            "chunk": name[3],
            "devices": name[4],
            "images/s": round(BATCH * CALLS / statistics.median(times)),
            "÷ best": round(median_ratio(seconds[best], times), 3),
        }
        for name, times in sorted(seconds.items(), key=lambda x: statistics.median(x[1]))
    ]
    report(
        "lenet_forward",
        rows,
        words=f"Forward passes of LeNet, batch {BATCH}, median of {ROUNDS} interleaved rounds of "
        f"{CALLS} calls. `÷ best`: the speed relative to the fastest form, median over rounds.",
    )


if __name__ == "__main__":
    main()
