"""The settings that `efficiency.py` tries, by job, as flags of `qd-fool evolve`."""

from types import MappingProxyType

SMALL = {"batch_size": 80, "coords": "normalized", "most_mutations": 2}
BEST = SMALL | {"color": "hsv", "parents": "young"}
GRADIENT = {"emitters": "variation:9,gradient:1"}
TUNED = {"emitters": "variation,fine,edge,node,recombine", "shares": "adaptive"}
LATE = BEST | TUNED | {"tune_after": 0.75}
CALM = LATE | {"cppn_activation": 0.03}
CALMEST = LATE | {"cppn_activation": 0.01}
UNSURE = CALMEST | {f"{e}_parents": "unsure" for e in ("fine", "edge", "node", "recombine")}
HALF = {
    "cppn_add_edge": 0.25,
    "cppn_delete_edge": 0.15,
    "cppn_add_node": 0.25,
    "cppn_delete_node": 0.1,
}
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
    "the same, young parents": SMALL | {"parents": "young"},
    "the same, weak parents": SMALL | {"parents": "weak"},
    "the same, strong parents": SMALL | {"parents": "strong"},
    "the same, hsv, young parents": BEST,
    "the same, hsv, young parents, adaptive shares": BEST | TUNED,
    "the same, hsv, young parents, tuned in the last quarter": LATE,
    "tuned, functions redrawn at .01": CALMEST,
    "tuned, functions redrawn at .01, unsure cells first": UNSURE,
    "tuned, functions redrawn at .03, structure at half": CALM | HALF,
    "tuned, functions kept": LATE | {"cppn_activation": 0.0},
    "tuned, functions redrawn at .01, weights at .05": CALMEST | {"cppn_weight": 0.05},
    "tuned, functions redrawn at .01, weights at .2": CALMEST | {"cppn_weight": 0.2},
    "tuned, functions redrawn at .01, from .6 on": CALMEST | {"tune_after": 0.6},
    "tuned, functions redrawn at .01, crossover .3": CALMEST | {"crossover_rate": 0.3},
    "tuned, functions redrawn at .01, 1 mutation": CALMEST | {"most_mutations": 1},
    "tuned, functions redrawn at .01, batch 40": CALMEST | {"batch_size": 40},
    "tuned, functions redrawn at .01, 1-3 mutations": CALMEST | {"most_mutations": 3},
    "tuned, functions redrawn at .01, 1-4 mutations": CALMEST | {"most_mutations": 4},
    "tuned, functions redrawn at .03": CALM,
    "tuned, functions redrawn at .03, weights at .3 with eta 100": CALM
    | {"cppn_weight": 0.3, "cppn_eta": 100.0},
    "the same, hsv, young parents, 1-3 mutations": BEST | {"most_mutations": 3},
    "the same, hsv, young parents, a tenth by 1 gradient step": BEST
    | GRADIENT
    | {"gradient_steps": 1},
}

TWENTY = {"batch_size": 20, "chunk": 10}
FIFTH = {"batch_size": 20, "chunk": 4, "emitters": "variation:4,gradient:1"}
COARSE = TWENTY | {"coords": "normalized", "coords_scale": 4.0}

DIGITS = COARSE | {"coords_scale": 2.0, "crossover_rate": 0.6}
NINE = DIGITS | {"crossover_rate": 0.9}
THRICE = DIGITS | {"coords_scale": 3.0}
TUNED_DIGITS = DIGITS | {
    "chunk": 5,
    "emitters": "variation,fine,edge,node",
    "shares": "adaptive",
    "tune_after": 0.25,
}
CLIMBED = NINE | {"cppn_activation": 0.03, "chunk": 2, "emitters": "variation:9,gradient:1"}
WEAK = {"fine_parents": "weak", "edge_parents": "weak", "node_parents": "weak"}

# Gray pictures have no hue, and with ten cells there is little choice of parents.
MNIST_CPPN = {
    "paper": {},
    "batch 80": {"batch_size": 80},
    "batch 20": TWENTY,
    "batch 20, 1-2 mutations": TWENTY | {"most_mutations": 2},
    "batch 20, normalized": TWENTY | {"coords": "normalized"},
    "batch 20, normalized, 1-2 mutations": SMALL | TWENTY,
    "batch 20, normalized x 4, 1-2 mutations": SMALL | COARSE,
    "batch 20, 1-2 mutations, strong parents": TWENTY | {"most_mutations": 2, "parents": "strong"},
    "batch 20, 1-2 mutations, weak parents": TWENTY | {"most_mutations": 2, "parents": "weak"},
    "batch 20, normalized, a fifth by 8 gradient steps": FIFTH | {"coords": "normalized"},
    "the same, 1-2 mutations": FIFTH | {"coords": "normalized", "most_mutations": 2},
    "batch 20, normalized x 4": COARSE,
    "batch 20, normalized x 2": COARSE | {"coords_scale": 2.0},
    "batch 20, normalized x 4, weak parents": COARSE | {"parents": "weak"},
    "batch 20, normalized x 4, crossover .3": COARSE | {"crossover_rate": 0.3},
    "batch 20, normalized x 4, zoom .3": COARSE | {"zoom": 0.3},
    "batch 40, normalized x 4": COARSE | {"batch_size": 40},
    "batch 20, normalized x 2, crossover .3": COARSE | {"coords_scale": 2.0, "crossover_rate": 0.3},
    "batch 20, normalized x 2, crossover .6": DIGITS,
    "batch 20, normalized x 2, crossover .3, 1-2 mutations": COARSE
    | {"coords_scale": 2.0, "crossover_rate": 0.3, "most_mutations": 2},
    "batch 10, normalized x 2, crossover .6": DIGITS | {"batch_size": 10},
    "batch 20, normalized x 2, crossover .6, weak parents": DIGITS | {"parents": "weak"},
    "batch 20, normalized x 2, crossover .6, half fine": DIGITS | {"emitters": "variation,fine"},
    "batch 20, normalized x 2, crossover .6, half node": DIGITS | {"emitters": "variation,node"},
    "batch 20, normalized x 2, crossover .6, half edge": DIGITS | {"emitters": "variation,edge"},
    "batch 20, normalized x 2, crossover .6, half recombine": DIGITS
    | {"emitters": "variation,recombine"},
    "batch 20, normalized x 2, crossover .9": NINE,
    "batch 20, normalized x 3, crossover .6": THRICE,
    "batch 20, normalized x 3, crossover .9": THRICE | {"crossover_rate": 0.9},
    "batch 20, normalized x 3, crossover .6, half recombine": THRICE
    | {"emitters": "variation,recombine"},
    "batch 20, normalized x 3, crossover .6, half edge": THRICE | {"emitters": "variation,edge"},
    "batch 20, normalized x 3, crossover .6, functions redrawn at .03": THRICE
    | {"cppn_activation": 0.03},
    "batch 20, normalized x 2, crossover .9, functions redrawn at .03": NINE
    | {"cppn_activation": 0.03},
    "batch 20, normalized x 2, crossover .9, functions redrawn at .01": NINE
    | {"cppn_activation": 0.01},
    "batch 20, normalized x 2, crossover .9, functions redrawn at .03, 1-2 mutations": NINE
    | {"cppn_activation": 0.03, "most_mutations": 2},
    "batch 20, normalized x 2, crossover .9, functions redrawn at .05": NINE
    | {"cppn_activation": 0.05},
    "batch 40, normalized x 2, crossover .9, functions redrawn at .03": NINE
    | {"cppn_activation": 0.03, "batch_size": 40},
    "batch 20, normalized x 2, crossover .6, tuned from .25 on": TUNED_DIGITS,
    "batch 20, normalized x 2, crossover .6, tuned from .25 on, weak parents": TUNED_DIGITS | WEAK,
    "batch 20, normalized x 2, crossover .6, tuned from .25 on, weak parents, "
    "functions redrawn at .03": TUNED_DIGITS | WEAK | {"cppn_activation": 0.03},
    "batch 20, normalized x 2, crossover .9, structure at half": NINE | HALF,
    "batch 20, normalized x 2, crossover .9, functions redrawn at .03, a tenth by 4 gradient "
    "steps": CLIMBED | {"gradient_steps": 4},
    "batch 20, normalized x 2, crossover .9, functions redrawn at .03, a tenth by 16 gradient "
    "steps": CLIMBED | {"gradient_steps": 16},
    "batch 40, normalized x 3, crossover .6": THRICE | {"batch_size": 40},
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
    "batch 20, small steps": {"batch_size": 20, "chunk": 10, "emitters": "fine"},
    "batch 20, all operators": {
        "batch_size": 20,
        "chunk": 4,
        "emitters": "variation,fine,recombine",
        "shares": "adaptive",
    },
}

IMAGENET_DIRECT = {
    "paper": {},
    "gradient": {"emitters": "gradient"},
    "small steps": {"emitters": "fine"},
    "all operators": {"emitters": "variation,fine,recombine", "shares": "adaptive"},
}


def _job(model: str, encoding: str, settings: dict[str, dict[str, object]]) -> dict[str, object]:
    return {"common": {"model": model, "encoding": encoding, "crops": 1}, "settings": settings}


JOBS = MappingProxyType(
    {
        "imagenet-cppn": _job("squeezenet1.1", "cppn", IMAGENET_CPPN),
        "lite0-cppn": _job("efficientnet-lite0", "cppn", IMAGENET_CPPN),
        "imagenet-direct": _job("squeezenet1.1", "direct", IMAGENET_DIRECT),
        "mnist-cppn": _job("lenet", "cppn", MNIST_CPPN),
        "mnist-direct": _job("lenet", "direct", MNIST_DIRECT),
    }
)
