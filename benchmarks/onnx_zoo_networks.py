"""The networks of `onnx_zoo.py`: names, families, sizes, and how PyTorch builds them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import torch


class Entry(NamedTuple):
    """A network of timm, or of another library."""

    family: str
    name: str
    size: int = 96
    settings: Mapping[str, Any] = MappingProxyType({})
    library: str = "timm"
    channels: int = 3


def _img(size: int, **more: Any) -> dict[str, Any]:
    return {"img_size": size, **more}


NETWORKS = [
    Entry("ResNet", "resnet18"),
    Entry("MobileNet", "mobilenetv2_100"),
    Entry("EfficientNet", "efficientnet_b0"),
    Entry("RegNet", "regnety_002"),
    Entry("ConvNeXt", "convnext_atto"),
    Entry("ViT", "vit_tiny_patch16_224", 96, _img(96)),
    Entry("DeiT", "deit_tiny_patch16_224", 96, _img(96)),
    Entry("BEiT", "beit_base_patch16_224", 96, _img(96, depth=4, embed_dim=192, num_heads=3)),
    Entry("Mixer", "mixer_s32_224", 224),
    Entry("SqueezeNet", "squeezenet1_1", library="torchvision"),
    Entry("ShuffleNet", "shufflenet_v2_x0_5", library="torchvision"),
    Entry("GoogLeNet", "googlenet", library="torchvision"),
    Entry("MNASNet", "mnasnet0_5", library="torchvision"),
    Entry("MobileNet", "mobilenet_v3_small", library="torchvision"),
    Entry("DenseNet", "densenet121", 64),
    Entry("Inception", "inception_v3", 128),
    Entry("Swin", "swin_tiny_patch4_window7_224", 224),
    Entry("MaxViT", "maxvit_rmlp_pico_rw_256", 256),
    Entry("ViT", "vit_small_patch32_224", 224),
    Entry("ResNet", "resnet26d"),
    Entry("ResNet", "seresnext26t_32x4d"),
    Entry("ResNet", "resnetv2_18"),
    Entry("ConvNeXt", "convnextv2_atto"),
    Entry("EfficientNet", "tf_efficientnet_lite0"),
    Entry("EfficientNet", "tf_efficientnet_b0"),
    Entry("EfficientNet", "efficientnet_lite0"),
    Entry("MobileNet", "mobilenetv3_small_100"),
    Entry("MobileNet", "mobilenetv4_conv_small"),
    Entry("RegNet", "regnetx_002"),
    Entry("RegNet", "regnetz_005", library="timm"),
    Entry("GhostNet", "ghostnet_100"),
    Entry("HRNet", "hrnet_w18_small"),
    Entry("DLA", "dla46_c"),
    Entry("CSPNet", "cspdarknet53", 64),
    Entry("RepVGG", "repvgg_a0", 64),
    Entry("EdgeNeXt", "edgenext_xx_small"),
    Entry("FastViT", "fastvit_t8"),
    Entry("MobileViT", "mobilevit_xxs"),
    Entry("LeViT", "levit_128s", 224),
    Entry("PiT", "pit_ti_224", 224),
    Entry("PoolFormer", "poolformer_s12"),
    Entry("CaiT", "cait_xxs24_224", 224),
    Entry("CoAtNet", "coatnet_pico_rw_224", 224),
    Entry("Visformer", "visformer_tiny", 224),
    Entry("EfficientFormer", "efficientformer_l1", 224),
    Entry("InceptionNeXt", "inception_next_atto"),
    Entry("LCNet", "lcnet_050"),
    Entry("ReXNet", "rexnet_100"),
    Entry("SKNet", "skresnet18"),
    Entry("Res2Net", "res2net50_14w_8s", 64),
    Entry("BoTNet", "botnet26t_256", 256),
    Entry("ResNeSt", "resnest14d"),
    Entry("PVT", "pvt_v2_b0", 224),
    Entry("FocalNet", "focalnet_tiny_srf", 224),
    Entry("MambaOut", "mambaout_femto"),
    Entry("VoVNet", "ese_vovnet19b_dw"),
    Entry("SelecSLS", "selecsls42b", 64),
    Entry("StarNet", "starnet_s1"),
    Entry("Swin", "swinv2_cr_tiny_ns_224", 224),
    Entry("DeiT", "deit_tiny_distilled_patch16_224", 96, _img(96)),
    Entry("Mixer", "resmlp_12_224", 224),
    Entry("XCiT", "xcit_nano_12_p16_224", 96),
    Entry("TinyViT", "tiny_vit_5m_224", 224),
    Entry("Twins", "twins_svt_small", 224),
    Entry("Inception", "xception41", 96),
    Entry("VGG", "vgg11_bn", 224),
]


def build(entry: Entry) -> torch.nn.Module:
    """A network with random weights, in eval mode."""
    if entry.library == "torchvision":
        models = _torchvision().models
        more = {"init_weights": True} if entry.name == "googlenet" else {}
        return models.get_model(entry.name, weights=None, **more).eval()
    _torchvision()
    import timm

    return timm.create_model(entry.name, pretrained=False, **entry.settings).eval()


def _torchvision() -> Any:
    """Import torchvision, even if its compiled part, which we don't need, doesn't fit PyTorch."""
    try:
        torch.ops.torchvision.nms  # noqa: B018  raises where there is none
    except (AttributeError, RuntimeError):
        signature = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", signature)
    import torchvision

    return torchvision
