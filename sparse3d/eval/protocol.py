"""How each figure of an evaluation is defined, in words that go into its file."""

from sparse3d.eval.config import EvaluateConfig
from sparse3d.eval.image_metrics import SCORING_PX
from sparse3d.eval.uncertainty import BINS, CALIBRATED_LAYER, DRAWN, MAX_PAIRS

ALIGNED = "cameras of the truth whose photos were not given to the run; aligned poses"
LEFT_OUT = (
    "photos of the run itself, one at a time: depth, Gaussians and their optimisation were done again from the other photos "
    "alone, with the settings of the run, and rendered at the camera that the run found for the photo left out. All cameras "
    "are the run's own and stayed fixed: they were estimated with the photo, so that the figures do not tell how well an "
    "unknown camera is found; and a run of one photo fewer is a little worse than the run itself"
)


def describe_protocol(config: EvaluateConfig, *, held_out: str) -> dict[str, str]:
    """How the figures are defined, for whoever reads them.

    Args:
        held_out: which photos are held out, and where their cameras come from.
    """
    return POSES | IMAGES | GEOMETRY | {"held_out": held_out, "refined": _refinement(config)}


POSES = {
    "alignment": "Sim(3) from the true world to the run's over the placed photos with a true pose: the rotation "
    "averages the orientations, scale and translation come from the centres",
    "ate_relative": "RMS of the aligned centres' distances over the RMS distance of the true centres from their mean",
    "ate_centres": "RMS of the centres' distances after Umeyama's alignment by the centres alone, in true units; evo's",
    "rpe": "neighbouring photos in the run's order, RMS; translation in true units after the alignment's scale",
    "auc": "mean accuracy at 1, 2, ... T degrees over all pairs of photos; a pair's error is the larger of relative "
    "rotation and translation direction, the direction's sign ignored as in VGGT's code (auc_signed counts it); "
    "pairs with an unplaced photo fail",
    "focal": "f / f_true - 1 of each placed photo, f the mean of fx and fy as fractions of the image's sides",
}

IMAGES = {
    "rendering": "full size with lens distortion, low-pass filter of the splats as wide as in training, 8 bits",
    "scoring": f"photo and rendering in 8 bits, box-filtered by round(longer side / {SCORING_PX})",
    "psnr": "-10 log10(mean squared error), mean over the views",
    "ssim": "11-pixel Gaussian window of sigma 1.5 per channel, borders mirrored, all pixels",
    "lpips": "version 0.1, images mapped to [-1, 1]",
    "masked": "the object alone: pixels of the scoring resolution wholly within the photo's mask. PSNR over them; ssim with all "
    "else white in photo and rendering, mean over them; ssim_whole the same, mean over the whole picture (RegNeRF's "
    "convention for DTU, which most papers of few views follow: larger, since the white counts as right); LPIPS of the "
    "pictures on white; share is the mask's part of the picture",
    "covered": "as masked, over the pixels that at least one training view saw, decided from the run alone: lifted to the depth "
    "that the run renders at the aligned pose, a pixel falls into the picture of a training view, at most 2 % behind what the "
    "run renders there; where the run renders nothing the pixel counts as infinitely far; patches not seen of less than "
    "0.5 % of the picture count as seen. The same pixels for the aligned "
    "and the refined pose",
    "training": "the run's own cameras and photos",
    "uncertainty": "over the pixels of all photos left out, at the scoring resolution: mean absolute colour error of the "
    "rendering, and the error that the run without the photo expects there, blended from its layer `uncertainty`. Pixels with an "
    f"opacity of {DRAWN} or more and within the masks, at most {MAX_PAIRS} by chance. factor, exponent: of the power law from the "
    f"expected error to the found one, through the means of {BINS} groups; the run's layer `{CALIBRATED_LAYER}` is its layer "
    "`uncertainty` by that law. ause as for depth, of the errors themselves",
}

GEOMETRY = {
    "depth": "z-depth at which half of the light is gone, at the size of the true depth map; pixels with both. abs_rel mean of "
    "|d - t| / t, rmse in true units, delta shares with max(d / t, t / d) below 1.25, 1.25^2, 1.25^3 (Eigen et al. 2014); "
    "known: share of the true pixels with a depth. unaligned: in true units by the cameras' alignment; aligned: each map "
    "multiplied by the ratio of the medians",
    "ause": "area between the curves of the mean relative error (aligned, at most 1) of the most confident 10, 20, ... 100 % "
    "of the true pixels and of the same in the order of the error; confidence as blended from the Gaussians. "
    "ause_of_random: as a share of that of a random order",
    "surface": "centres of the Gaussians of opacity 0.1 or more, moved into the true world by the cameras' alignment, without "
    "further registration, within the true surface's bounding box enlarged by the largest threshold; completeness and recall "
    "over the part of the true surface that a true camera of the run's photos sees; all thinned to one point per cell of half "
    "the smallest threshold. accuracy, completeness: mean distance to the true surface and from it (DTU, Jensen et al. 2014, "
    "without its cut-off); chamfer: their mean; precision, recall, f_score at the thresholds (Tanks and Temples, Knapitsch et "
    "al. 2017), which are fractions of the diagonal of the true surface that is seen",
}


def _refinement(config: EvaluateConfig) -> str:
    refine = config.refine
    if refine is None:
        return "not measured: switched off"
    return (
        f"pose of each held-out camera refined against its whole photo: {refine.iterations} Adam steps on an SE(3) "
        f"increment, mean absolute colour error at {refine.max_side_px // 2} then {refine.max_side_px} px, rate "
        f"{refine.learning_rate} falling along a cosine, Gaussians fixed; the same for every run"
    )
