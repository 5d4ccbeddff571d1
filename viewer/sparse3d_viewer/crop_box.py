"""The crop's box in the scene: its edges, and arrows by which its faces and the whole of it are dragged."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sparse3d_viewer.dependency import viser
from sparse3d_viewer.session import Box
from sparse3d_viewer.viewpoint import Viewpoint

EDGE_COLOUR = (240, 140, 0)

ARROW_PX = 70.0
"""Length of the arrows on the screen, whatever the distance."""


@dataclass(frozen=True)
class Grip:
    """Where a box can be taken hold of.

    Attributes:
        axis: that the face lies across, 0 to 2; None for a corner, which moves all of the box.
        side: 0 for the low face of the axis, 1 for the high one.
        corner: of the box, low (0) or high (1) along each axis.
    """

    axis: int | None = None
    side: int = 1
    corner: tuple[int, int, int] = (0, 0, 0)

    @property
    def node(self) -> str:
        """Name in the scene."""
        return "/crop/all" if self.axis is None else f"/crop/{'xyz'[self.axis]}{self.side}"

    @property
    def wxyz(self) -> tuple[float, float, float, float]:
        """Turns the arrow of a low face outward: half a turn about the next axis."""
        if self.axis is None or self.side == 1:
            return (1.0, 0.0, 0.0, 0.0)
        x, y, z = (float(i == (self.axis + 1) % 3) for i in range(3))
        return (0.0, x, y, z)

    def place(self, box: Box) -> NDArray[np.float64]:
        """Where the grip of a box is."""
        ends = np.array([box.low, box.high])
        if self.axis is None:
            return ends[self.corner, range(3)]
        at = ends.mean(0)
        at[self.axis] = ends[self.side, self.axis]
        return at

    def moved(self, box: Box, to: NDArray[np.float64]) -> Box:
        """The box after this grip was moved somewhere; its low corner may have passed the high one."""
        ends = np.array([box.low, box.high])
        if self.axis is None:
            ends += to - self.place(box)
        else:
            ends[self.side, self.axis] = to[self.axis]
        return Box(*(tuple(float(x) for x in corner) for corner in ends))  # pyright: ignore[reportArgumentType]


FACES = tuple(Grip(axis, side) for axis in range(3) for side in (0, 1))


def grips_for(viewpoint: Viewpoint | None) -> tuple[Grip, ...]:
    """The faces' grips, and before them that of the whole box.

    It stands at the corner that a photo's viewpoint sees far away, above and to the left: splats hide the arrows behind them,
    in the middle of the box, and what is near may lie behind the eye.
    """
    if viewpoint is None:
        return Grip(), *FACES
    right, down, forward = viewpoint.rotation.T
    x, y, z = (int(along > 0) for along in forward - right - down)
    return Grip(corner=(x, y, z)), *FACES


Dragged = Callable[[Grip, NDArray[np.float64], bool], None]
"""Told which grip, where it is now, and whether it was let go."""


class CropBox:
    """Edges and arrows; nothing is there until `show` is called with a box.

    Args:
        grips: where arrows are.
        dragged: called while an arrow is dragged; it is to call `show`.
    """

    def __init__(self, server: viser.ViserServer, grips: tuple[Grip, ...], dragged: Dragged) -> None:
        self._scene, self._dragged, self._grips = server.scene, dragged, grips
        self._box: Box | None = None
        self._arrows: dict[Grip, viser.TransformControlsHandle] = {}

    def show(self, box: Box | None, *, arrows: bool, held: Grip | None = None) -> None:
        """Put edges and arrows where a box is.

        Args:
            box: None takes everything away.
            arrows: whether the box can be dragged.
            held: the arrow that a visitor holds now, which is left alone.
        """
        if box is None:
            self._scene.remove_by_name("/crop/edges")
        elif box != self._box:
            self._scene.add_line_segments(
                "/crop/edges", box_edges(box), colors=EDGE_COLOUR, thickness=2.0, thickness_units="screen"
            )
        self._box = box
        for grip in self._grips:
            if box is None or not arrows:
                self._scene.remove_by_name(grip.node)
                self._arrows.pop(grip, None)
            elif grip not in self._arrows:
                self._arrows[grip] = self._add(grip, grip.place(box))
            elif grip != held:
                self._arrows[grip].position = grip.place(box)

    def _add(self, grip: Grip, place: NDArray[np.float64]) -> viser.TransformControlsHandle:
        arrow = self._scene.add_transform_controls(
            grip.node,
            scale=ARROW_PX,
            fixed=True,
            active_axes=(grip.axis in (None, 0), grip.axis in (None, 1), grip.axis in (None, 2)),
            disable_sliders=True,
            disable_rotations=True,
            depth_test=False,
            wxyz=grip.wxyz,
            position=place,
        )
        arrow.on_update(partial(self._moved, grip))
        return arrow

    def _moved(self, grip: Grip, event: viser.TransformControlsEvent) -> None:
        if event.phase != "start":
            self._dragged(grip, np.asarray(event.target.position, np.float64), event.phase == "end")


def box_edges(box: Box) -> NDArray[np.float64]:
    """The twelve edges of a box (12 2 3)."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    pairs = [(a, b) for a in range(8) for b in range(a + 1, 8) if np.abs(corners[a] - corners[b]).sum() == 1]
    low, high = np.array(box.low), np.array(box.high)
    return np.array([[low + corners[i] * (high - low) for i in pair] for pair in pairs])
