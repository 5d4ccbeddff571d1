"""Settings of the check of every photo against the others."""

from dataclasses import dataclass

from sparse3d.core.errors import InputError


@dataclass(frozen=True)
class OutlierConfig:
    """When a photo does not fit the others. The measured margins stand in docs/cameras.md.

    Attributes:
        enabled: check the photos; without it every photo is taken as it was placed or given.
        left_out_below: agreement under which a photo is left out.
        taken_from: agreement from which a photo that was left out is taken again where its matches place it.
        min_pixels, min_covered: pixels of the others, and share of the photo that they cover, from which anything is told.
    """

    enabled: bool = True
    left_out_below: float = 0.25
    taken_from: float = 0.4
    min_pixels: int = 800
    min_covered: float = 0.02

    def __post_init__(self) -> None:
        if not 0 <= self.left_out_below <= self.taken_from <= 1:
            raise InputError(
                f"outliers.left_out_below is {self.left_out_below} and outliers.taken_from {self.taken_from}, expected "
                "0 to 1, the first at most the second"
            )
