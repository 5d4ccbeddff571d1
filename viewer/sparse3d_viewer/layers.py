"""Layers of one figure a Gaussian: where the figures come from, and how far they reach."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from sparse3d.core.reconstruction import Reconstruction
from sparse3d.eval.uncertainty import CALIBRATED_LAYER
from sparse3d.pipeline.coverage import ANGLE_LAYER, ERROR_LAYER, SEEN_LAYER
from sparse3d.render.rasterise import RenderOptions, rasterise
from sparse3d_viewer.photos import PhotoPair
from sparse3d_viewer.scales import Scale

COLOUR = "Colour"
OBSERVED = "Observed / filled in"
ERROR = "Error"
CALIBRATED = "Expected colour error, calibrated"
RECOLOURED = ("Opacity", "Confidence", "Photos that saw it", OBSERVED, ERROR)
"""Layers that every run has, beside the colour; a run folder can hold more (`io.gaussian_layers`)."""

OBSERVED_COLOUR, FILLED_COLOUR = (70, 130, 200), (240, 140, 0)

ERROR_RANGE = (0.0, 0.25)
"""Mean absolute difference of colours in [0, 1] from the coldest to the warmest colour, for splats and photos alike."""

UNITS = {
    "Confidence": "probability that the depth is right",
    "Photos that saw it": "photos by which its depth was found",
    ERROR: "mean difference of the colours from the photos; from black to white is 1",
    SEEN_LAYER: "photos",
    ANGLE_LAYER: "degrees between the two photos farthest apart",
    ERROR_LAYER: "% of the distance, standard deviation of the place",
    "Uncertainty": "difference of the colours to expect of a new view; from black to white is 1",
    CALIBRATED: "difference of the colours to expect of a new view, by photos left out; from black to white is 1",
}
"""In words, for the legend."""

LOGARITHMIC = (ERROR_LAYER,)
"""What is seen by several photos is a hundred times better known than what is not."""

MIN_RATIO = 1e-4
"""Of a logarithmic scale's ends."""

MIN_WEIGHT = 1e-3
"""Of a Gaussian in all photos together; with less, its error is not known."""


def layer_title(name: str) -> str:
    """A run folder's layer as the list of layers calls it, where all names begin with a capital."""
    return CALIBRATED if name == CALIBRATED_LAYER else name[:1].upper() + name[1:]


def layer_colours(layer: str, values: NDArray[np.floating], scale: Scale) -> NDArray[np.uint8]:
    """Colours (... 3) of a layer's figures, of Gaussians or of pixels. Between observed and filled in they are mixed."""
    if layer != OBSERVED:
        return scale.colours(values)
    share = np.clip(np.asarray(values, np.float32), 0, 1)[..., None]
    mixed = share * np.array(OBSERVED_COLOUR) + (1 - share) * np.array(FILLED_COLOUR)
    return np.round(mixed).astype(np.uint8)


def scale_of(layer: str, values: NDArray[np.floating]) -> Scale:
    """The range of a layer's figures (n): that of what they mean, or their own."""
    unit = UNITS.get(layer, "")
    if layer == ERROR:
        return Scale(*ERROR_RANGE, unit)
    finite = values[np.isfinite(values)].astype(np.float64)
    if layer in ("Opacity", "Confidence", OBSERVED) or len(finite) == 0:
        return Scale(0.0, 1.0, unit)
    low, high = float(finite.min()), float(np.percentile(finite, 99))
    if layer in LOGARITHMIC and high > 0:
        return Scale(max(low, MIN_RATIO * high), high * (1 + 1e-9), unit, logarithmic=True)
    low = min(0.0, low)
    return Scale(low, max(high, low + 1e-9), unit)


def legend_of(layer: str, values: NDArray[np.floating], scale: Scale) -> str:
    """What the colours mean, as HTML.

    Args:
        values: of a run's Gaussians (n).
    """
    if layer != OBSERVED:
        return scale.legend(layer)
    marks = " &nbsp; ".join(
        f"<span style='color:rgb{colour}'>&#9632;</span> {name}"
        for name, colour in (("observed", OBSERVED_COLOUR), ("filled in", FILLED_COLOUR))
    )
    share = 100 * values.mean() if len(values) else 0.0
    return f"<div>{marks}</div><div>{share:.1f} % of the Gaussians were observed</div>"


def values_of(reconstruction: Reconstruction, layer: str) -> NDArray[np.float32]:
    """The figures (n) of a layer that the Gaussians themselves hold."""
    gaussians = reconstruction.gaussians
    held = {
        "Opacity": lambda: gaussians.logit_opacities.sigmoid(),
        "Confidence": lambda: gaussians.confidence,
        "Photos that saw it": lambda: gaussians.observations,
        OBSERVED: lambda: gaussians.observations > 0,
    }
    return held[layer]().detach().float().cpu().numpy()


def gaussian_errors(reconstruction: Reconstruction, pairs: Mapping[str, PhotoPair]) -> NDArray[np.float32]:
    """Each Gaussian's share in what its photos show otherwise than the rendering does (n), in [0, 1].

    The mean residual over the pixels that it draws, weighted by its blending weight w: sum(w r) / sum(w) over all photos.
    A blended channel's gradient is just that sum, so the rasteriser's backward pass gathers it. NaN where hardly seen.
    """
    gaussians = reconstruction.gaussians.activate()
    total = torch.zeros(len(gaussians), 2)
    for pair in pairs.values():
        shares = torch.zeros(len(gaussians), 2, requires_grad=True)
        output = rasterise(
            gaussians, pair.camera.to(torch.float32), features=shares, options=RenderOptions(depth=False)
        )
        assert output.features is not None
        residual = torch.from_numpy(pair.residual)[None]
        (output.features * torch.stack([residual, torch.ones_like(residual)], -1)).sum().backward()
        assert shares.grad is not None
        total += shares.grad
    errors = total[:, 0] / total[:, 1].clamp(min=1e-12)
    return torch.where(total[:, 1] > MIN_WEIGHT, errors, torch.nan).numpy()
