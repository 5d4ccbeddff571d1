"""One view at a time: render it, compare it with its photo, and with its true depth where there is one."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError, MissingDependency
from sparse3d.core.reconstruction import Reconstruction
from sparse3d.eval import image_metrics, lpips
from sparse3d.eval.config import EvaluateConfig, FurtherTruth, ReadImage
from sparse3d.eval.coverage import TrainingView, at_scoring_resolution, covered_pixels, render_depth, training_views
from sparse3d.eval.depth_metrics import depth_errors, median_scale, sparsification
from sparse3d.eval.evaluation import DepthResult, HeldOutScore, ImageScore, PartScore, TrainingScore
from sparse3d.eval.pose_metrics import Sim3
from sparse3d.eval.refine_pose import refine_pose
from sparse3d.eval.render_views import render_camera

ASPECT_TOLERANCE_PX = 1.0
"""A photo may be a scaled version of its camera's image if its height is right to so many pixels."""


@dataclass(frozen=True)
class ViewScorer:
    """What all views of a reconstruction are scored with. Make one by `build`."""

    reconstruction: Reconstruction
    config: EvaluateConfig
    further: FurtherTruth
    nets: tuple[lpips.Net, ...]
    lpips_notes: dict[str, str]
    trained: tuple[TrainingView, ...]

    @staticmethod
    def build(reconstruction: Reconstruction, config: EvaluateConfig, further: FurtherTruth) -> "ViewScorer":
        """Look for the networks' weights and, for the coverage, render how far the run's own cameras see."""
        trained = training_views(reconstruction, config.options) if config.covered else ()
        return ViewScorer(reconstruction, config, further, *available_lpips(config.lpips_nets), trained)

    def held_out(self, true_camera: Cameras, alignment: Sim3, read_image: ReadImage) -> HeldOutScore:
        """Score a camera that the run has not had, without and with refinement of its pose.

        Args:
            true_camera: one view in the true world.
            alignment: of the true world with the run's.
        """
        name = true_camera.names[0]
        if not has_pose(true_camera)[0]:
            return HeldOutScore(name, None, None, reason="not measured: its true pose or intrinsics are not known")
        try:
            photo = image_metrics.from_pixels(read_image(name))
        except (OSError, InputError) as error:
            return HeldOutScore(name, None, None, reason=f"not measured: {error}")
        camera = _fit_to_photo(true_camera, photo)
        camera = camera.replace(cam_from_world=alignment.move_cameras(camera.cam_from_world.double()))
        mask, covered = self._mask(name, camera), None
        if self.config.covered:
            small = at_scoring_resolution(camera)
            covered = covered_pixels(self.reconstruction, small, self.trained, self.config.options)
        aligned = self._score(camera, photo, mask, covered)
        depth = self._depth(name, camera, 1 / alignment.scale)
        if self.config.refine is None:
            return HeldOutScore(name, aligned, None, reason="refined: not measured: switched off", depth=depth)
        moved = refine_pose(self.reconstruction, camera, photo, self.config.refine, options=self.config.options)
        refined = self._score(moved.camera, photo, mask, covered)
        return HeldOutScore(name, aligned, refined, moved.rotation_deg, moved.translation, depth=depth)

    def training(
        self, camera: Cameras, read_image: ReadImage, photo_name: str, alignment: Sim3 | None
    ) -> TrainingScore:
        """Score one of the run's own cameras.

        Args:
            photo_name: of the photo in the truth.
            alignment: None where there is none; depth can then be compared up to its scale only.
        """
        try:
            photo = image_metrics.from_pixels(read_image(photo_name))
        except (OSError, InputError) as error:
            return TrainingScore(camera.names[0], None, f"not measured: {error}")
        camera = _fit_to_photo(camera, photo)
        scale = None if alignment is None else 1 / alignment.scale
        score = self._score(camera, photo, self._mask(photo_name, camera), None)
        return TrainingScore(camera.names[0], score, depth=self._depth(photo_name, camera, scale))

    def _mask(self, name: str, camera: Cameras) -> Bool[ndarray, "h w"] | None:
        """The object's pixels at the photo's size; None where there is no mask or it is empty."""
        mask = None if self.further.read_mask is None else self.further.read_mask(name)
        if mask is None:
            return None
        if mask.shape != camera.sizes[0][::-1]:
            raise InputError(
                f"{name}: its mask has {mask.shape[1]}x{mask.shape[0]} pixels, the photo {camera.sizes[0][0]}x"
                f"{camera.sizes[0][1]}; make it as large as the photo"
            )
        return mask

    def _score(
        self,
        camera: Cameras,
        photo: Float[ndarray, "h w 3"],
        mask: Bool[ndarray, "h w"] | None,
        covered: Bool[ndarray, "hs ws"] | None,
    ) -> ImageScore:
        """Render at full size, shrink both, compare."""
        [view] = render_camera(self.reconstruction, camera, self.config.options)
        rendering, truth = (image_metrics.to_scoring_resolution(image) for image in (view.rgb, photo))
        inside = None if mask is None else image_metrics.mask_to_scoring_resolution(mask)
        return ImageScore(
            image_metrics.psnr(rendering, truth),
            image_metrics.ssim(rendering, truth),
            self._distances(rendering, truth),
            masked=self._part(rendering, truth, inside),
            covered=self._part(rendering, truth, covered),
        )

    def _part(
        self,
        rendering: Float[ndarray, "h w 3"],
        truth: Float[ndarray, "h w 3"],
        inside: Bool[ndarray, "h w"] | None,
    ) -> PartScore | None:
        """Compare a part of the picture; the rest is made white in both. None if the part is empty."""
        if inside is None or not inside.any():
            return None
        cut = [image_metrics.on_white(image, inside) for image in (rendering, truth)]
        return PartScore(
            share=float(inside.mean()),
            psnr=image_metrics.psnr(rendering, truth, mask=inside),
            ssim=image_metrics.ssim(cut[0], cut[1], mask=inside),
            ssim_whole=image_metrics.ssim(cut[0], cut[1]),
            lpips=self._distances(cut[0], cut[1]),
        )

    def _distances(self, rendering: Float[ndarray, "h w 3"], truth: Float[ndarray, "h w 3"]) -> dict[str, float | None]:
        distances: dict[str, float | None] = dict.fromkeys(self.config.lpips_nets)
        for net in self.nets:
            if min(truth.shape[:2]) >= lpips.MIN_SIDE_PX[net]:
                distances[net] = lpips.lpips(rendering, truth, net)
        return distances

    def _depth(self, name: str, camera: Cameras, scale: float | None) -> DepthResult | None:
        """Compare the rendered depth with the true one of a name.

        Args:
            scale: from the run's unit to the truth's; None where nobody knows it.
        """
        truth = None if self.further.read_depth is None else self.further.read_depth(name)
        if truth is None or not (truth > 0).any():
            return None
        camera = _fit_to_photo(camera, truth[..., None])
        rendered = render_depth(self.reconstruction, camera, self.config.options)
        try:
            median = median_scale(rendered.depth, truth)
        except ValueError:
            return None  # nothing was rendered where the truth is known
        known = truth > 0
        found = np.where(rendered.depth > 0, median * rendered.depth.astype(np.float64), np.inf)
        order = sparsification(rendered.confidence[known], np.abs(found - truth)[known] / truth[known])
        return DepthResult(
            unaligned=None if scale is None else depth_errors(rendered.depth, truth, scale=scale),
            aligned=depth_errors(rendered.depth, truth, scale=median),
            ause=order.ause,
            ause_of_random=order.ause_of_random,
        )


def has_pose(cameras: Cameras) -> list[bool]:
    """Which views' poses and intrinsics are known."""
    known = cameras.cam_from_world.isfinite().flatten(1).all(1) & cameras.K.isfinite().flatten(1).all(1)
    return known.tolist()


def spread(indices: list[int], limit: int | None) -> list[int]:
    """At most so many of them, evenly spaced, first and last included."""
    if limit is None or limit >= len(indices):
        return indices
    return [indices[i] for i in sorted({round(float(x)) for x in np.linspace(0, len(indices) - 1, limit)})]


def available_lpips(nets: tuple[lpips.Net, ...]) -> tuple[tuple[lpips.Net, ...], dict[str, str]]:
    """The networks whose weights are there and sound, and a note on each."""
    available, notes = [], {}
    for net in nets:
        try:
            blank = np.zeros((lpips.MIN_SIDE_PX[net],) * 2 + (3,))
            lpips.lpips(blank, blank, net)
            notes[net] = lpips.weights_description(net)
            available.append(net)
        except (MissingDependency, InputError) as error:
            notes[net] = f"not measured: {error}"
    return tuple(available), notes


def _fit_to_photo(camera: Cameras, photo: Float[ndarray, "h w _c"]) -> Cameras:
    """The camera at the photo's (or depth map's) own size, which may be a scaled one."""
    height, width = photo.shape[:2]
    full_width, full_height = camera.sizes[0]
    if abs(full_height * width / full_width - height) > ASPECT_TOLERANCE_PX:
        raise InputError(
            f"{camera.names[0]}: the photo or depth map has {width}x{height} pixels, which is no scaled version of its "
            f"camera's {full_width}x{full_height}"
        )
    return camera if (width, height) == camera.sizes[0] else camera.resized([(width, height)])
