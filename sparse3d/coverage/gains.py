"""What another photo would be worth: by how much the expected error of pictures around it would fall.

Optimal design for prediction (V-optimality, Fedorov 1972): of the photos that could be taken, the best one leaves the smallest
expected error in all pictures that somebody may want to see, not the one that is itself the least certain (as in FisherRF,
Jiang et al. 2024). With the position of a patch known up to a covariance S, a picture v errs by tr(J_v^T J_v S) there, where
J_v^T J_v is the picture's own information about the patch (`information`): the errors that can be seen from v count, those that
move nothing in it do not. Linear errors grow without bound while colours do not, so that they saturate at the variance of the
colours; what no photo has seen is wrong by all of that. Where nothing is rendered at all no photo is promised to help.

The information knows nothing of what a surface looks like from elsewhere: sheen, small occluders, a shape that is finer than the
Gaussians. So a surface may count as the less certain, too, the farther the picture turns from the nearest photo that saw it, as
in the angular penalty of the unstructured lumigraph (Buehler et al. 2001, section 5.1). That serves where the wanted pictures are
told. Where they are places that the program proposes itself it would make photos of these places the best, whatever they show.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sparse3d.coverage.information import position_covariance
from sparse3d.coverage.pictures import Pictures

PRIOR_SHARE = 0.1
"""Standard deviation of a position that no picture tells anything of, as a share of its distance."""

COLOUR_VARIANCE = 3 * 0.2**2
"""Squared error over the three channels of a pixel whose content is not known: photos vary by about 0.2."""

REVEALED_BY_ONE = 0.5
"""Share of what no photo saw that a single further one makes right in other pictures: where it is remains guessed until a second
one shows it."""

MATCHED_DEG, UNMATCHED_DEG = 25.0, 60.0
"""Angles between two looks at a surface up to which a matcher finds it again, and from which it does not."""


@dataclass(frozen=True)
class Choice:
    """A picture worth taking.

    Attributes:
        picture: its index.
        gain: `Planner.gain` when those before it have been taken.
    """

    picture: int
    gain: float


class Planner:
    """What the photos of a scene know, and what others would add.

    Args:
        pictures: those taken and those that could be.
        taken: indices of those that were taken.
        wanted: indices of those that stand for what somebody may want to see, the same for all that are compared.
        distance: `Patches.distance`.
        variance: of the photos' residuals.
        turned_deg: angle between a picture's look at a surface and the nearest photo's from which the photo says nothing of how
            it looks there; infinite where angles do not count.
    """

    def __init__(
        self,
        pictures: Pictures,
        taken: Sequence[int],
        wanted: Sequence[int],
        distance: Float[Tensor, " p"],
        variance: float,
        *,
        turned_deg: float = math.inf,
    ) -> None:
        self._pictures, self._variance, self._wanted, self._turned_deg = pictures, variance, list(wanted), turned_deg
        self._prior = PRIOR_SHARE * distance
        self._taken = list(taken)
        self._information = pictures.position[self._taken].sum(0)
        self._unseen = (1 - pictures.seen[self._taken]).amin(0)
        self._revealed = torch.zeros_like(self._unseen)
        self._turned = self._turns(self._taken)
        self._error = self._expected(self._information, self._revealed, self._turned)

    @property
    def error(self) -> float:
        """Mean expected error of the wanted pictures: squared colour difference over three channels, mean over pixels."""
        return self._error

    @property
    def covariance(self) -> Float[Tensor, "p 3 3"]:
        """Of the patches' positions."""
        return position_covariance([self._information], self._variance, self._prior)

    def overlap(self, picture: int) -> float:
        """Share of a picture that a matcher would find again in a photo that was taken."""
        p = self._pictures
        again = (1 - self._unseen) * self._matchable(picture) * p.weight[picture] * p.seen[picture]
        return float(again.sum() / p.pixels[picture])

    def gain(self, picture: int) -> float:
        """By how much taking a picture would lower `error`."""
        return self._error - self._expected(*self._with(picture))

    def take(self, picture: int) -> None:
        """Count a picture as taken from now on."""
        self._information, self._revealed, self._turned = self._with(picture)
        self._taken.append(picture)
        self._error = self._expected(self._information, self._revealed, self._turned)

    def choose(self, candidates: Sequence[int], count: int, *, least: float) -> list[Choice]:
        """Up to so many pictures, the best one first, each chosen as if those before it had been taken.

        A gain only shrinks when more is taken, or nearly so: those that were worth less than the best new figure when they
        were last looked at need not be looked at again (Minoux 1978).

        Args:
            candidates: indices of the pictures to choose from.
            count: at most.
            least: the smallest gain that is worth a photo, as a share of the first one's.
        """
        left = {c: self.gain(c) for c in candidates}
        chosen: list[Choice] = []
        while left and len(chosen) < count:
            fresh: set[int] = set() if chosen else set(left)
            while (best := max(left, key=left.__getitem__)) not in fresh:
                left[best] = self.gain(best)
                fresh.add(best)
            gain = left.pop(best)
            if gain <= 0 or (chosen and gain < least * chosen[0].gain):
                break
            chosen.append(Choice(best, gain))
            self.take(best)
        return chosen

    def _with(self, picture: int) -> tuple[Float[Tensor, "p 3 3"], Float[Tensor, " p"], Float[Tensor, "wanted p"]]:
        """Information, as far as a matcher finds a further photo's surfaces again, how many further ones saw a patch, and how far
        each wanted picture turns away from them."""
        new = self._pictures.position[picture] * self._matchable(picture)[:, None, None]
        return (
            self._information + new,
            self._revealed + self._pictures.seen[picture],
            torch.minimum(self._turned, self._turns([picture])),
        )

    def _matchable(self, picture: int) -> Float[Tensor, " p"]:
        """How likely each patch in a picture is found again in one of the photos that saw it; 1 where none did."""
        likely = ((UNMATCHED_DEG - self._turn(self._taken, picture)) / (UNMATCHED_DEG - MATCHED_DEG)).clamp(0, 1)
        return torch.where((self._pictures.seen[self._taken] > 0).any(0), likely, 1.0)

    def _turns(self, photos: Sequence[int]) -> Float[Tensor, "wanted p"]:
        """`_turn` of every wanted picture; 0 where angles do not count."""
        if math.isinf(self._turned_deg):
            return torch.zeros(len(self._wanted), self._unseen.shape[0])
        return torch.stack([self._turn(photos, view) for view in self._wanted])

    def _turn(self, photos: Sequence[int], picture: int) -> Float[Tensor, " p"]:
        """Smallest angle in degrees at each patch between a picture and one of the photos that saw it; 180 where none did."""
        p = self._pictures
        cosines = torch.where(p.seen[photos] > 0, (p.rays[photos] * p.rays[picture]).sum(-1), -1.0).amax(0)
        return torch.rad2deg(torch.arccos(cosines.clamp(-1, 1)))

    def _expected(
        self, information: Float[Tensor, "p 3 3"], revealed: Float[Tensor, " p"], turned: Float[Tensor, "wanted p"]
    ) -> float:
        """The wanted pictures' mean squared error over their pixels, from what is known of their patches."""
        p = self._pictures
        covariance = position_covariance([information], self._variance, self._prior)
        told = (REVEALED_BY_ONE * revealed).clamp(max=1)
        total = 0.0
        for view, turn in zip(self._wanted, turned, strict=True):  # all at once would copy every picture's matrices
            limit = p.weight[view] * COLOUR_VARIANCE
            linear = (p.position[view] * covariance).sum((-1, -2))
            placed = limit / (limit + linear).clamp(min=1e-12)
            known = placed * (1 - (turn / self._turned_deg).clamp(max=1))
            right = (1 - self._unseen) * known + self._unseen * told * placed
            total += float((limit * (1 - right)).sum() / p.pixels[view])
        return total / len(self._wanted)
