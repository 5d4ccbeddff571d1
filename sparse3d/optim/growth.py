"""How much more the optimiser may change where more photos hold the scene in place: what one memorises others contradict.

With three photos short schedules, short steps of opacities and colours of one kind for all directions leave the best views
between them. From six on these hold back what the photos would agree on (docs/experiments.md has the measurements). Steps of
centres, shapes and colours are the same for any number: longer ones gain nothing from more photos.

A photo's exposure is the exception: its steps become shorter by both factors, so that in all it may go about as far as with three
photos. What has the mean exposure of all photos looks wrong beside each, and new views are near to some of them.
"""

from dataclasses import dataclass

FEW_PHOTOS = 3
"""As many are meant by the other settings."""


@dataclass(frozen=True)
class GrowthConfig:
    """Settings of what grows with the number of photos.

    Attributes:
        passes: how many times more often each photo is visited, at most: with the square of the number of photos.
        steps: how many times longer the steps of opacities are, at most: in proportion to it.
        sh_photos: from so many on colours depend on the direction, by spherical harmonics of degree 1 or more; 0 for never.
    """

    passes: float = 4.0
    steps: float = 3.0
    sh_photos: int = 6

    def __post_init__(self) -> None:
        if self.passes < 1 or self.steps < 1 or self.sh_photos < 0:
            raise ValueError(f"growth: factors of 1 or more and sh_photos >= 0 expected, got {self}")

    def pass_factor(self, photos: int) -> float:
        """How many times more often each of so many photos is visited."""
        return min(max(photos / FEW_PHOTOS, 1.0) ** 2, self.passes)

    def step_factor(self, photos: int) -> float:
        """How many times longer the steps of opacities are."""
        return min(max(photos / FEW_PHOTOS, 1.0), self.steps)

    def least_sh_degree(self, photos: int) -> int:
        """Of the colours' spherical harmonics."""
        return int(0 < self.sh_photos <= photos)


NO_GROWTH = GrowthConfig(passes=1.0, steps=1.0, sh_photos=0)
"""Everything as with few photos."""
