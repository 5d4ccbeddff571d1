"""What became of one photo when it was held against the others."""

from dataclasses import dataclass
from typing import Literal

CheckOutcome = Literal["fits", "not told", "in doubt", "left out", "placed anew"]


@dataclass(frozen=True)
class PhotoCheck:
    """One photo held against the others.

    Attributes:
        name: the photo's.
        outcome: "not told" where the others show too little of what it shows; "in doubt" where it fits badly and is kept, since it
            cannot be told which photo is wrong.
        agreement: share, beyond chance, of what the others agree on that the photo shows too; where it was left out or placed
            anew, as its first camera has it. None where nothing can be told.
        turned_deg, moved: of a photo placed anew whose pose was given: by how much it turned from there, and how far it
            moved, as a share of the median depth of what it shows.
    """

    name: str
    outcome: CheckOutcome
    agreement: float | None = None
    turned_deg: float | None = None
    moved: float | None = None
