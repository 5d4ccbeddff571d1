"""Settings of the joint optimisation."""

import math
from dataclasses import dataclass, field, replace

from sparse3d.optim.growth import NO_GROWTH, GrowthConfig
from sparse3d.optim.pose_solver import PoseSolverConfig
from sparse3d.optim.terms.binocular import BinocularConfig
from sparse3d.optim.terms.coherence import CoherenceConfig
from sparse3d.optim.terms.densify import DensifyConfig
from sparse3d.optim.terms.disparity_smoothness import DisparitySmoothnessConfig
from sparse3d.optim.terms.dropout import DropoutConfig
from sparse3d.optim.terms.exposure import ExposureConfig
from sparse3d.optim.terms.floaters import FloatersConfig
from sparse3d.optim.terms.flow import FlowConfig
from sparse3d.optim.terms.footprint import FootprintConfig
from sparse3d.optim.terms.normals import NormalsConfig
from sparse3d.optim.terms.opacity_decay import OpacityDecayConfig
from sparse3d.optim.terms.pseudo_views import PseudoViewsConfig
from sparse3d.optim.terms.relative_depth import RelativeDepthConfig
from sparse3d.optim.terms.uncertainty import UncertaintyConfig


@dataclass(frozen=True)
class OptimConfig:
    """Settings of `optimise`.

    Attributes:
        passes: how often each photo of three is visited; more of them memorise so few photos.
        growth: what is more where there are more than three photos.
        iterations: steps in all, however many photos there are, as InstantSplat counts; 0 leaves it to `passes`.
        views_per_step: photos whose gradients make one step, their mean; 0 takes all of them.
        passes_choices: where there are some, `passes` becomes the one after which photos look best that were left out
            (`choose_passes`; at least three photos). It takes several times as long as optimising.
        ssim_weight: share of D-SSIM in the photometric loss, the rest is L1 (3DGS, Kerbl et al. 2023, eq. 7).
        depth_weight: weight of the prior's depth, in relative depth error times confidence.
        mean_lr_px: first step of a certain Gaussian's centre, in pixels of the photo that it came from.
        mean_lr_final: share of the first step that is left at the end (exponential decay).
        confidence_beta: how many times farther than a certain one a Gaussian of no confidence may step
            (InstantSplat: lr * (1 + (beta - 1) * (1 - confidence)), with beta 100).
        colour_lr, sh_rest_lr, opacity_lr, scale_lr, quat_lr: Adam's steps of the other parameters, `opacity_lr` by three photos.
        sh_degree: of the colours' spherical harmonics, 0 to 3, by few photos, which higher ones memorise.
        refine_poses: optimise the poses that are not known.
        refine_focal: optimise the focal lengths that are not known.
        pose_solver: how they are adjusted to the photos before there are Gaussians.
        rotation_lr_rad: first step of a camera's rotation through the rendering, after `pose_solver`; 0, as those below, leaves
            cameras where that put them: Adam moved them away from the true ones more often than towards them.
        translation_lr: first step of a camera's centre, as a share of the scene's median depth.
        focal_lr: first step of the logarithm of a focal length.
        camera_lr_final: share of the cameras' first steps that is left at the end.
        camera_start: iteration from which cameras move, when the colours have settled.
        min_scale, max_scale: bounds of each standard deviation across the surface, in multiples of the Gaussian's larger
            initial one. Smaller ones would show gaps at a higher resolution than that of the photos trained on, larger
            ones hide what other Gaussians know.
        min_opacity: Gaussians that end below this are dropped.
        dropout, exposure: the terms that earn their place; settings of each term are in the module of its name.
        opacity_decay, binocular, pseudo_views, flow, floaters, densify, relative_depth, disparity_smoothness, normals, footprint,
            coherence: those that do not (docs/optimisation.md).
        uncertainty: see there; the map is made by default and changes nothing else.
        log_every: iterations between two entries of the history.
        checkpoint_every_s: seconds between two checkpoints.
    """

    passes: int = 40
    growth: GrowthConfig = field(default_factory=GrowthConfig)
    iterations: int = 0
    views_per_step: int = 1
    passes_choices: tuple[int, ...] = ()
    ssim_weight: float = 0.2
    depth_weight: float = 0.1
    mean_lr_px: float = 0.2
    mean_lr_final: float = 0.1
    confidence_beta: float = 10.0
    colour_lr: float = 0.01
    sh_rest_lr: float = 0.0005
    opacity_lr: float = 0.01
    scale_lr: float = 0.03
    quat_lr: float = 0.01
    sh_degree: int = 0
    refine_poses: bool = True
    refine_focal: bool = True
    pose_solver: PoseSolverConfig = field(default_factory=PoseSolverConfig)
    rotation_lr_rad: float = 0.0
    translation_lr: float = 0.0
    focal_lr: float = 0.0
    camera_lr_final: float = 0.05
    camera_start: int = 20
    min_scale: float = 0.9
    max_scale: float = 3.0
    min_opacity: float = 0.01
    dropout: DropoutConfig = field(default_factory=lambda: DropoutConfig(share=0.3))
    opacity_decay: OpacityDecayConfig = field(default_factory=OpacityDecayConfig)
    binocular: BinocularConfig = field(default_factory=BinocularConfig)
    pseudo_views: PseudoViewsConfig = field(default_factory=PseudoViewsConfig)
    flow: FlowConfig = field(default_factory=FlowConfig)
    floaters: FloatersConfig = field(default_factory=FloatersConfig)
    densify: DensifyConfig = field(default_factory=DensifyConfig)
    exposure: ExposureConfig = field(default_factory=lambda: ExposureConfig(lr=0.003))
    relative_depth: RelativeDepthConfig = field(default_factory=RelativeDepthConfig)
    disparity_smoothness: DisparitySmoothnessConfig = field(default_factory=DisparitySmoothnessConfig)
    normals: NormalsConfig = field(default_factory=NormalsConfig)
    footprint: FootprintConfig = field(default_factory=FootprintConfig)
    coherence: CoherenceConfig = field(default_factory=CoherenceConfig)
    uncertainty: UncertaintyConfig = field(default_factory=UncertaintyConfig)
    log_every: int = 10
    checkpoint_every_s: float = 60.0

    def __post_init__(self) -> None:
        for name in ("passes", "iterations", "views_per_step"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.iterations and self.passes_choices:
            raise ValueError(
                "iterations and passes_choices are two ways of saying how long: set one of them to nothing"
            )
        if any(choice < 1 for choice in self.passes_choices):
            raise ValueError(f"passes_choices must be positive, got {self.passes_choices}")
        if not 0 <= self.sh_degree <= 3:
            raise ValueError(f"sh_degree must be 0 to 3, got {self.sh_degree}")
        if not 0 <= self.ssim_weight <= 1:
            raise ValueError(f"ssim_weight must lie in [0, 1], got {self.ssim_weight}")

    def steps_in_pass(self, photos: int) -> int:
        """Steps in which each of so many photos is visited once."""
        return math.ceil(photos / (self.views_per_step or photos))

    def steps(self, photos: int) -> int:
        """Steps of the whole optimisation of so many photos."""
        return self.iterations or self.for_photos(photos).passes * self.steps_in_pass(photos)

    def with_passes(self, passes: int) -> "OptimConfig":
        """The settings with so many passes, however many photos there are."""
        return replace(self, passes=passes, growth=replace(self.growth, passes=1.0), passes_choices=())

    def for_photos(self, photos: int) -> "OptimConfig":
        """The settings that hold for so many photos; nothing grows in them any more."""
        often, far = self.growth.pass_factor(photos), self.growth.step_factor(photos)
        further = 1.0 if self.iterations else often * far  # a fixed number of steps takes an exposure no farther
        return replace(
            self,
            passes=round(self.passes * often),
            opacity_lr=self.opacity_lr * far,
            exposure=replace(self.exposure, lr=self.exposure.lr / further),
            sh_degree=max(self.sh_degree, self.growth.least_sh_degree(photos)),
            growth=NO_GROWTH,
        )
