"""Layers that recolour the splats: one figure a Gaussian, in colours with a legend."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from sparse3d.core.reconstruction import Reconstruction
from sparse3d.render.rasterise import RenderOptions, rasterise
from sparse3d_viewer.photos import PhotoPair

COLOUR = "Colour"
OBSERVED = "Observed / filled in"
ERROR = "Error"
RECOLOURED = ("Opacity", "Confidence", "Photos that saw it", OBSERVED, ERROR)
"""Layers that every run has, beside the colour; a run folder can hold more (`io.gaussian_layers`)."""

OBSERVED_COLOUR, FILLED_COLOUR = (70, 130, 200), (240, 140, 0)
NO_COLOUR = (120, 120, 120)
"""Of Gaussians whose figure is not known."""

ERROR_RANGE = (0.0, 0.25)
"""Mean absolute difference of colours in [0, 1] from the coldest to the warmest colour, for splats and photos alike."""

MIN_WEIGHT = 1e-3
"""Of a Gaussian in all photos together; with less, its error is not known."""


@dataclass(frozen=True)
class Painted:
    """Splats' colours (n 3) as uint8, and the legend as HTML."""

    colours: NDArray[np.uint8]
    legend: str


def turbo(values: NDArray[np.floating], low: float, high: float) -> NDArray[np.uint8]:
    """OpenCV's turbo colours (... 3), blue at `low`, red at `high`; `NO_COLOUR` where a value is not finite."""
    known = np.isfinite(values)
    level = np.clip((np.where(known, values, low) - low) / max(high - low, 1e-12), 0, 1)
    bytes_ = np.round(255 * level).astype(np.uint8).reshape(-1, 1)
    coloured = cv2.applyColorMap(bytes_, cv2.COLORMAP_TURBO)[:, 0, ::-1].reshape(*values.shape, 3)
    return np.where(known[..., None], coloured, np.array(NO_COLOUR)).astype(np.uint8)


def paint(layer: str, values: NDArray[np.floating]) -> Painted:
    """Colours of a layer from its figures (n); the range is that of what the figures mean, or their own."""
    if layer == OBSERVED:
        seen = np.asarray(values) > 0
        share = 100 * seen.mean() if len(seen) else 0.0
        colours = np.where(seen[:, None], np.array(OBSERVED_COLOUR), np.array(FILLED_COLOUR))
        return Painted(
            colours.astype(np.uint8), _swatches([("observed", OBSERVED_COLOUR), ("filled in", FILLED_COLOUR)], share)
        )
    finite = values[np.isfinite(values)]
    low, high = 0.0, 1.0
    if layer == ERROR:
        low, high = ERROR_RANGE
    elif layer not in ("Opacity", "Confidence"):
        low = min(0.0, float(finite.min())) if len(finite) else 0.0
        high = float(np.percentile(finite, 99)) if len(finite) else 1.0
        high = max(high, low + 1e-9)
    return Painted(turbo(values, low, high), _scale(layer, low, high))


def values_of(reconstruction: Reconstruction, layer: str) -> NDArray[np.float32]:
    """The figures (n) of a layer that the Gaussians themselves hold."""
    gaussians = reconstruction.gaussians
    held = {
        "Opacity": lambda: gaussians.logit_opacities.sigmoid(),
        "Confidence": lambda: gaussians.confidence,
        "Photos that saw it": lambda: gaussians.observations,
        OBSERVED: lambda: gaussians.observations,
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


def _scale(layer: str, low: float, high: float) -> str:
    stops = ",".join("rgb({},{},{})".format(*turbo(np.array([t]), 0, 1)[0]) for t in np.linspace(0, 1, 9))
    return (
        f"<div>{escape(layer)}</div><div style='height:0.7em;border-radius:2px;"
        f"background:linear-gradient(90deg,{stops})'></div>"
        f"<div style='display:flex;justify-content:space-between'><span>{low:.3g}</span><span>{high:.3g}</span></div>"
    )


def _swatches(entries: list[tuple[str, tuple[int, int, int]]], share: float) -> str:
    marks = " &nbsp; ".join(
        f"<span style='color:rgb{colour}'>&#9632;</span> {escape(name)}" for name, colour in entries
    )
    return f"<div>{marks}</div><div>{share:.1f} % of the Gaussians were observed</div>"
