"""Coverage in plain sentences."""

from sparse3d.core.coverage import NextPhoto

WELL, HARDLY = 0.75, 0.4
"""Shares of all that shows which two photos saw: from the one on the scene is well covered, below the other it is not."""

WORTH_TELLING = 0.1
"""Smallest share that was seen too narrowly which is worth a sentence."""


def coverage_verdict(
    shares: tuple[float, float, float, float], narrow: float, next_photos: tuple[NextPhoto, ...]
) -> tuple[str, ...]:
    """Plain sentences, the most important one first.

    Args:
        shares: `Coverage.seen_shares`.
        narrow: `Coverage.narrow_share`.
        next_photos: the recommended places.
    """
    unseen, once, *_ = shares
    twice = shares[2] + shares[3]
    headline = (
        "The photos cover what shows from around them well."
        if twice >= WELL
        else "The photos cover only part of what shows from around them."
        if twice >= HARDLY
        else "The photos cover little of what shows from around them: keep to their own places when you look around."
    )
    sentences = [
        f"{headline} Two photos or more saw {100 * twice:.0f} % of it, a single one saw {100 * once:.0f} %, and "
        f"{100 * unseen:.0f} % is filled in without any photo."
    ]
    if narrow >= WORTH_TELLING:
        sentences.append(
            f"{100 * narrow:.0f} % was seen from nearly the same direction only, so that its distance is known roughly: take "
            "photos farther apart."
        )
    if next_photos:
        best = next_photos[0]
        sentences.append(
            f"The best place for another photo: {best.text}. It should remove about {100 * best.gain:.0f} % of the error that is "
            "expected in views from around the photos."
        )
    else:
        sentences.append("No place nearby promises much from one more photo.")
    return tuple(sentences)
