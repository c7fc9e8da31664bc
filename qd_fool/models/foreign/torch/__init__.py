"""Networks of PyTorch: modules of your own, and those of torchvision, timm and transformers.

`torchvision_models`, `timm_models`, `hub_models` and `user_modules` find a module and what its
library states about it (`facts`), with weights from `state`. `module` makes a network that PyTorch
runs. `export` turns the module into one that JAX runs, by way of ONNX. `load` chooses between the
two.
"""
