"""The settings that `efficiency.py` tries, by job: fields of an `EvolveConfig` each."""

from types import MappingProxyType

SMALL = {"batch_size": 80, "coords": "normalized", "most_mutations": 2}
BEST = SMALL | {"color": "hsv", "parents": "young"}
GRADIENT = {"emitters": "variation:9,gradient:1"}
NO_SINE = "tanh,sigmoid,gaussian,linear"

IMAGENET_CPPN = {
    "paper": {},
    "batch 80, normalized, 1-2 mutations": SMALL,
    "the same, coords x 4": SMALL | {"coords_scale": 4.0},
    "the same, coords x 16": SMALL | {"coords_scale": 16.0},
    "the same, rgb": SMALL | {"color": "rgb"},
    "the same, hsv": SMALL | {"color": "hsv"},
    "the same, no sine": SMALL | {"activations": NO_SINE},
    "the same, crossover .3": SMALL | {"crossover_rate": 0.3},
    "the same, zoom .3": SMALL | {"zoom": 0.3},
    "the same, young parents": SMALL | {"parents": "young"},
    "the same, weak parents": SMALL | {"parents": "weak"},
    "the same, strong parents": SMALL | {"parents": "strong"},
    "the same, hsv, young parents": BEST,
    "the same, hsv, young parents, 1-3 mutations": BEST | {"most_mutations": 3},
    "the same, hsv, young parents, a tenth by 1 gradient step": BEST
    | GRADIENT
    | {"gradient_steps": 1},
}

# Where the picture is gray there is no hue, and ten cells leave little to choose parents from.
MNIST_CPPN = {
    "paper": {},
    "batch 80": {"batch_size": 80},
    "batch 20": {"batch_size": 20, "chunk": 10},
    "batch 20, 1-2 mutations": {"batch_size": 20, "chunk": 10, "most_mutations": 2},
    "batch 20, normalized": {"batch_size": 20, "chunk": 10, "coords": "normalized"},
    "batch 20, normalized, 1-2 mutations": SMALL | {"batch_size": 20, "chunk": 10},
    "batch 20, normalized x 4, 1-2 mutations": SMALL
    | {"batch_size": 20, "chunk": 10, "coords_scale": 4.0},
    "batch 20, 1-2 mutations, strong parents": {
        "batch_size": 20,
        "chunk": 10,
        "most_mutations": 2,
        "parents": "strong",
    },
    "batch 20, 1-2 mutations, weak parents": {
        "batch_size": 20,
        "chunk": 10,
        "most_mutations": 2,
        "parents": "weak",
    },
    "batch 20, normalized, a fifth by 2 gradient steps": {
        "batch_size": 20,
        "chunk": 4,
        "coords": "normalized",
        "emitters": "variation:4,gradient:1",
        "gradient_steps": 2,
    },
    "batch 20, normalized, a fifth by 8 gradient steps": {
        "batch_size": 20,
        "chunk": 4,
        "coords": "normalized",
        "emitters": "variation:4,gradient:1",
    },
    "the same, 1-2 mutations": {
        "batch_size": 20,
        "chunk": 4,
        "coords": "normalized",
        "most_mutations": 2,
        "emitters": "variation:4,gradient:1",
    },
    "the same, 1-2 mutations, rate .1": {
        "batch_size": 20,
        "chunk": 4,
        "coords": "normalized",
        "most_mutations": 2,
        "emitters": "variation:4,gradient:1",
        "gradient_rate": 0.1,
    },
    "batch 20, raw, 1-2 mutations, a fifth by 8 gradient steps": {
        "batch_size": 20,
        "chunk": 4,
        "most_mutations": 2,
        "emitters": "variation:4,gradient:1",
    },
}

MNIST_DIRECT = {
    "paper": {},
    "batch 20": {"batch_size": 20, "chunk": 10},
    "batch 20, gradient": {"batch_size": 20, "chunk": 10, "emitters": "gradient"},
    "batch 20, half by gradient": {
        "batch_size": 20,
        "chunk": 10,
        "emitters": "variation,gradient",
    },
}

IMAGENET_DIRECT = {
    "paper": {},
    "gradient": {"emitters": "gradient"},
    "half by gradient": {"emitters": "variation,gradient"},
}


def _job(model: str, encoding: str, settings: dict[str, dict[str, object]]) -> dict[str, object]:
    return {"common": {"model": model, "encoding": encoding, "crops": 1}, "settings": settings}


JOBS = MappingProxyType(
    {
        "imagenet-cppn": _job("squeezenet1.1", "cppn", IMAGENET_CPPN),
        "imagenet-direct": _job("squeezenet1.1", "direct", IMAGENET_DIRECT),
        "mnist-cppn": _job("lenet", "cppn", MNIST_CPPN),
        "mnist-direct": _job("lenet", "direct", MNIST_DIRECT),
    }
)
