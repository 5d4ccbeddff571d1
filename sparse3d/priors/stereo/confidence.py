"""How likely a depth that a second view confirms is right, from what is known without the truth.

Right means within 1 % of the true depth or within twice the uncertainty of triangulation, whichever is larger. The
logistic function's weights are fitted by `benchmarks/fit_confidence.py` over three scenes that count alike; each
feature may act in one direction only, so that no weight fits a peculiarity of theirs.
"""

import cv2
import numpy as np
from jaxtyping import Float32

from sparse3d.priors.stereo.consistency import Agreement

COMPANY_WINDOW = 31
"""Side in pixels of the window in which the share of confirmed pixels is taken: chance agreement comes in islands."""

COST_WINDOW = 15
"""Side in pixels of the window over which the matching cost is averaged: a single pixel's is the least of many."""

MATCHING_PX = 0.5
"""Standard deviation of matching, in pixels: of what the uncertainty of triangulation is made."""

LEAST_MOTION, MOST_MOTION = 8.0, 512.0
"""Pixels a relative change of depth between which precision counts: beyond them neither bad nor good gets worse or
better."""

BIAS = 0.49
"""Log odds of a depth without a flaw at 64 pixels of motion, alone in its neighbourhood."""

WEIGHTS = {"cost": -3.18, "error": -1.34, "precision": 0.14, "violations": -0.61, "company": 2.3}
"""Log odds a unit of each of `features`. That a third view agrees, or the texture, adds nothing to them."""


def features(cost: Float32[np.ndarray, "h w"], found: Agreement) -> dict[str, Float32[np.ndarray, "h w"]]:
    """What tells right from wrong, by name.

    The mean cost of matching around and misses in pixels (0 to 1), log2 of the motion over 64 pixels, violations (up to
    2), and the share of confirmed pixels around.
    """
    company = cv2.blur((found.support > 0).astype(np.float32), (COMPANY_WINDOW, COMPANY_WINDOW))
    return {
        "cost": cv2.blur(np.clip(cost, 0, 1), (COST_WINDOW, COST_WINDOW)),
        "error": np.clip(found.error_px, 0, 1),
        "precision": np.log2(np.clip(found.motion_px, LEAST_MOTION, MOST_MOTION) / np.float32(64)),
        "violations": np.minimum(found.violations, 2).astype(np.float32),
        "company": company,
    }


def confidence_of(cost: Float32[np.ndarray, "h w"], found: Agreement) -> Float32[np.ndarray, "h w"]:
    """Probability in [0, 1] that a depth is right; 0 where no second view agrees."""
    seen = features(cost, found)
    log_odds = sum((np.float32(WEIGHTS[name]) * seen[name] for name in WEIGHTS), np.float32(BIAS))
    return np.where(found.support > 0, 1 / (1 + np.exp(-log_odds)), 0).astype(np.float32)
