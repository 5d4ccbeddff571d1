"""What the user is told of photos that did not fit, in plain words."""

from collections.abc import Sequence

from sparse3d.core.photo_check import PhotoCheck

KEEP = "`outliers: {enabled: false}` in a settings file takes it as it is"


def left_out_reason(check: PhotoCheck, usual: float | None) -> str:
    """Why a photo was left out, without its name.

    Args:
        check: of the photo.
        usual: agreement of the other photos, None where it is not known.
    """
    return f"it does not fit the others: {_figures(check, usual)}"


def left_out_warning(check: PhotoCheck, usual: float | None, *, given: bool) -> str:
    """What was left out and why, and what to do; `given` where the user gave its pose."""
    whether = "whether it shows the same scene"
    look = f"its given camera, and {whether}" if given else whether
    return f"{check.name} was left out: {left_out_reason(check, usual)}. Check {look}; {KEEP}"


def in_doubt_warning(checks: Sequence[PhotoCheck]) -> str:
    """What fits badly and is kept."""
    shares = ", ".join(f"{check.name} {_percent(check.agreement)}" for check in checks)
    return (
        f"at least one photo does not fit the others, but which one cannot be told, so that all are kept. Of what the others agree "
        f"on, where it should be seen, they show: {shares}. Check the photos and given cameras, or add photos"
    )


def placed_anew_warning(check: PhotoCheck, usual: float | None, now: PhotoCheck) -> str:
    """What was placed anew and why; `now` is the photo's check at its new place."""
    first = f"{check.name} did not fit the others: {_figures(check, usual)}"
    then = f"It was placed anew by its matches, where it shows {_percent(now.agreement)}"
    if check.turned_deg is None or check.moved is None:
        return f"{first}. {then}"
    return (
        f"{first}. {then}: turned by {check.turned_deg:.1f} degrees and moved by {100 * check.moved:.1f} % of the distance to "
        f"the scene from where it was given. Check its given camera; {KEEP}"
    )


def _figures(check: PhotoCheck, usual: float | None) -> str:
    share = f"it shows {_percent(check.agreement)} of what they agree on where it should be seen"
    return share if usual is None else f"{share}, where {_percent(usual)} is usual"


def _percent(share: float | None) -> str:
    assert share is not None  # only photos of which something can be told are left out or placed anew
    return f"{100 * max(share, 0.0):.0f} %"
