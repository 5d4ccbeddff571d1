"""What a run's photos cover of the scene, and where the next one should be taken: the result, without how it was found."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from sparse3d.core.cameras import Cameras


@dataclass(frozen=True)
class NextPhoto:
    """A place for another photo.

    Attributes:
        camera: one view in the run's world, a pinhole.
        gain: by how much it lowers the expected error of pictures around the photos, as a share of that error before any
            photo is added; when the places before it in the list have been taken.
        near: name of the photo that the words start from.
        text: where to stand and where to look.
    """

    camera: Cameras
    gain: float
    near: str
    text: str


@dataclass(frozen=True)
class PhotoCoverage:
    """One photo of the run.

    Attributes:
        seen_again: share of its picture that another photo saw, too.
        angle_deg: median over its picture of the largest angle between two photos that saw the same thing; 0 counts where
            there is none.
        expected_error: median over its picture of the expected error of positions, as a share of their distance.
    """

    name: str
    seen_again: float
    angle_deg: float
    expected_error: float


@dataclass(frozen=True)
class Coverage:
    """What is known of the scene, and how to know more.

    Attributes:
        verdict: plain sentences, the most important one first.
        seen_shares: of all that shows from the photos' places and those around them, the shares that no photo, one, two, and
            three or more saw.
        narrow_share: the share that two photos or more saw, but all from nearly the same direction.
        photos: one a photo.
        next_photos: the best one first; possibly none.
        step: usual distance between neighbouring photos, in scene units: the unit of the words.
    """

    verdict: tuple[str, ...]
    seen_shares: tuple[float, float, float, float]
    narrow_share: float
    photos: tuple[PhotoCoverage, ...]
    next_photos: tuple[NextPhoto, ...]
    step: float

    @property
    def seen_twice(self) -> float:
        """The share that two photos or more saw."""
        return self.seen_shares[2] + self.seen_shares[3]


@dataclass(frozen=True)
class GaussianCoverage:
    """The same for each Gaussian.

    Attributes:
        photos: number of photos that saw it.
        angle_deg: the largest angle between two of them, at the Gaussian; 0 where fewer than two saw it.
        expected_error: standard deviation of its position as a share of its distance from the nearest photo that saw it.
    """

    photos: Float[Tensor, " n"]
    angle_deg: Float[Tensor, " n"]
    expected_error: Float[Tensor, " n"]
