"""The expected colour errors of a run, held against photos that were left out, and its layer set right by them."""

from collections.abc import Sequence

from jaxtyping import Bool, Float
from numpy import ndarray

from sparse3d.core.cameras import Cameras
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.eval.image_metrics import Image
from sparse3d.eval.uncertainty import (
    BINS,
    CALIBRATED_LAYER,
    RAW_LAYER,
    Pairs,
    UncertaintyScore,
    pairs_at,
    score_uncertainty,
)
from sparse3d.io.gaussian_layers import read_gaussian_layers, remove_gaussian_layer, write_gaussian_layer
from sparse3d.io.run_folder import RunFolder
from sparse3d.render.rasterise import RenderOptions

NO_LAYER = (
    f"not measured: the run has no layer `{RAW_LAYER}`: it is of an older version or was made with `optim.uncertainty.layer` "
    "off; make it again with it on"
)


def left_out_pairs(
    run: RunFolder,
    rest: Reconstruction,
    camera: Cameras,
    photo: Image,
    mask: Bool[ndarray, "h w"],
    options: RenderOptions,
) -> Pairs | None:
    """Expected and found errors of a photo in the run made without it; None where that has no expected errors.

    Args:
        run, rest: the folder of the run without the photo, and what it holds.
        camera, photo, mask: as in `eval.uncertainty.pairs_at`.
    """
    values = _raw_layer(run, rest)
    return None if values is None else pairs_at(rest, camera, photo, values, mask, options)


def calibrate(
    run: RunFolder, whole: Reconstruction, pairs: Sequence[Pairs]
) -> tuple[UncertaintyScore | None, str | None]:
    """Judge a run's expected errors by those of the runs without one photo, and write its layer set right by them.

    The raw layer stays, so that the same evaluation gives the same again. An earlier calibration goes in any case.

    Returns:
        The figures, or None and the reason.

    Raises:
        InputError: the layer cannot be written.
    """
    remove_gaussian_layer(run.layers, CALIBRATED_LAYER)
    raw = _raw_layer(run, whole)
    if raw is None:
        return None, NO_LAYER
    if sum(len(found.raw) for found in pairs) < BINS:
        return None, f"not measured: fewer than {BINS} pixels of photos left out could be compared"
    score = score_uncertainty(pairs)
    write_gaussian_layer(run.layers, CALIBRATED_LAYER, score.law(raw))
    return score, None


def _raw_layer(run: RunFolder, scene: Reconstruction) -> Float[ndarray, " n"] | None:
    return read_gaussian_layers(run.layers, len(scene.gaussians)).get(RAW_LAYER)
