"""The courtyard: brick, boards and plaster around a paved corner with pots, crates, stones, a painting and a poster.

World frame: metres, x right, y away from the cameras, z up, origin on the ground.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from . import paintings, textures
from .light import Light, bake
from .noise import Grid
from .surfaces import Rectangle, Revolution, Sphere, Surface, box, disk
from .textures import Texture, rgb

Paint = Callable[[Grid, np.random.Generator], Texture]
BoxPaint = Callable[[Grid, np.random.Generator, int], Texture]

WEST, EAST, SOUTH, NORTH, TOP = -2.7, 3.3, -1.6, 2.3, 4.2
SUN = Light(
    sun_direction=np.array([0.42, -0.66, 0.88]),
    sun_colour=np.array([1.8, 1.62, 1.36]),
    sky_colour=np.array([0.5, 0.58, 0.7]),
    bounce_colour=np.array([0.2, 0.18, 0.15]),
)


@dataclass
class Scene:
    """Surfaces with their textures, filled by `add`; `sizes` are metres along u and v."""

    rng: np.random.Generator
    surfaces: list[Surface] = field(default_factory=list)
    sizes: list[tuple[float, float]] = field(default_factory=list)
    textures: list[Texture] = field(default_factory=list)

    def add(self, surface: Surface, grid: Grid, texture: Texture) -> None:
        self.surfaces.append(surface)
        self.sizes.append((grid.width_m, grid.height_m))
        self.textures.append(texture)

    def add_box(self, faces: list[Rectangle], paint: BoxPaint, texel_m: float = 0.0025) -> None:
        """Faces of a box, each with its own piece of the material `paint(grid, rng, face number)`."""
        for number, face in enumerate(faces):
            width, height = float(np.linalg.norm(face.edge_u)), float(np.linalg.norm(face.edge_v))
            grid = Grid(width, height, texel_m)
            self.add(face, grid, paint(grid, self.rng, number))

    def add_round(self, body: Revolution | Sphere, paint: Paint, texel_m: float = 0.002) -> None:
        """A sphere or body of revolution with the material `paint(grid, rng)` around it."""
        if isinstance(body, Sphere):
            grid = Grid(2 * np.pi * body.radius, np.pi * body.radius, texel_m)
        else:
            grid = Grid(2 * np.pi * body.radii.max(), float(np.ptp(body.heights)), texel_m)
        self.add(body, grid, paint(grid, self.rng))

    def bake(self, light: Light) -> list[np.ndarray]:
        """Radiance textures, one a surface."""
        parts = zip(self.surfaces, self.sizes, self.textures, strict=True)
        return [bake(s, size, texture, self.surfaces, light).astype(np.float32) for s, size, texture in parts]


def vec(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)


def add_walls(scene: Scene) -> None:
    """Paving, brick wall with ivy, board wall (left), plastered wall with ivy (right)."""
    rng, up, deep = scene.rng, vec(0, 0, TOP), NORTH - SOUTH
    floor = Grid(EAST - WEST, deep, 0.003)
    scene.add(
        Rectangle(vec(WEST, SOUTH, 0), vec(EAST - WEST, 0, 0), vec(0, deep, 0)), floor, textures.flagstones(floor, rng)
    )
    north = Grid(EAST - WEST, TOP, 0.003)
    wall = paintings.ivy(textures.bricks(north, rng), north, rng, stems=7)
    scene.add(Rectangle(vec(WEST, NORTH, 0), vec(EAST - WEST, 0, 0), up), north, wall)
    side = Grid(deep, TOP, 0.003)
    boards = textures.planks(side, rng, tint=rgb(142, 112, 84))
    scene.add(Rectangle(vec(WEST, SOUTH, 0), vec(0, deep, 0), up), side, boards)
    render = paintings.ivy(textures.plaster(side, rng), side, rng, stems=12)
    scene.add(Rectangle(vec(EAST, NORTH, 0), vec(0, -deep, 0), up), side, render)


def add_pictures(scene: Scene) -> None:
    """A framed painting and a poster on the brick wall."""

    def frame(grid: Grid, rng: np.random.Generator, number: int) -> Texture:
        return textures.planks(grid, rng, tint=rgb(92, 58, 36), board_m=0.3)

    def picture(grid: Grid, rng: np.random.Generator, number: int) -> Texture:
        return paintings.landscape(grid, rng) if number == 0 else frame(grid, rng, number)

    def bill(grid: Grid, rng: np.random.Generator, number: int) -> Texture:
        return paintings.poster(grid, rng) if number == 0 else textures.planks(grid, rng, tint=rgb(120, 110, 96))

    scene.add_box(box((0.85, NORTH - 0.02, 1.85), (1.46, 0.04, 1.06), 0), frame)
    scene.add_box(box((0.85, NORTH - 0.05, 1.85), (1.3, 0.02, 0.9), 0), picture, 0.002)
    scene.add_box(box((-1.0, NORTH - 0.02, 1.75), (0.8, 0.04, 1.1), 0), bill, 0.002)


def add_bench(scene: Scene) -> None:
    """A stone bench with a globe, a vase and a book."""

    def stone(grid: Grid, rng: np.random.Generator, number: int) -> Texture:
        return textures.granite(grid, rng, base=rgb(164, 158, 146))

    def book(grid: Grid, rng: np.random.Generator, number: int) -> Texture:
        cover = textures.granite(grid, rng, base=rgb(150, 60, 52))
        return paintings.print_on(cover, grid, rng, ["ROOTS", "vol. 2"], rgb(240, 214, 130)) if number == 0 else cover

    scene.add_box(box((0.45, 1.92, 0.31), (2.5, 0.56, 0.62), 0), stone, 0.003)
    scene.add_round(Sphere(vec(1.05, 1.8, 0.62 + 0.21), 0.21), paintings.globe, 0.0018)
    heights = np.linspace(0, 0.62, 15)
    profile = [0.09, 0.12, 0.15, 0.175, 0.19, 0.195, 0.19, 0.175, 0.15, 0.12, 0.095, 0.08, 0.078, 0.09, 0.115]
    vase = Revolution(vec(-0.35, 1.85, 0.62), heights, np.array(profile))
    scene.add_round(vase, lambda grid, rng: paintings.pottery(grid, rng, clay=rgb(186, 112, 74)))
    scene.add_box(box((0.4, 1.82, 0.72), (0.34, 0.16, 0.2), -24), book, 0.0015)


def add_yard(scene: Scene) -> None:
    """What stands on the paving: crate and parcel, slab and jar, stone balls, a barrel, a post."""

    def crate(grid: Grid, rng: np.random.Generator, number: int) -> Texture:
        wood = textures.planks(grid, rng, tint=rgb(176, 132, 84), board_m=0.14)
        words = [["APPLES", "lot 58"], ["K-27", "this side up"], ["58", "west"], ["-"], ["LID"]][number]
        return paintings.print_on(wood, grid, rng, words, rgb(34, 34, 40))

    def parcel(grid: Grid, rng: np.random.Generator, number: int) -> Texture:
        return (
            paintings.landscape(grid, rng) if number in (0, 4) else textures.granite(grid, rng, base=rgb(196, 178, 96))
        )

    def slab(grid: Grid, rng: np.random.Generator, number: int) -> Texture:
        return textures.granite(grid, rng, base=rgb(120, 128, 134))

    def post(grid: Grid, rng: np.random.Generator, number: int) -> Texture:
        return textures.planks(grid, rng, tint=rgb(96, 112, 104), board_m=0.2)

    scene.add_box(box((-1.25, 0.85, 0.33), (0.72, 0.62, 0.66), 24), crate)
    scene.add_box(box((-1.2, 0.88, 0.82), (0.36, 0.3, 0.32), -14), parcel, 0.0018)
    scene.add_box(box((0.2, 0.35, 0.09), (0.72, 0.5, 0.18), -18), slab)
    scene.add_box(box((2.45, 1.5, TOP / 2), (0.22, 0.22, TOP), 12), post)
    scene.add_round(Sphere(vec(1.5, 0.8, 0.36), 0.36), lambda g, r: textures.granite(g, r, base=rgb(150, 126, 116)))
    scene.add_round(Sphere(vec(2.05, 0.25, 0.17), 0.17), lambda g, r: textures.granite(g, r, base=rgb(96, 118, 104)))
    profile = vec(0.1, 0.135, 0.15, 0.152, 0.145, 0.13, 0.11, 0.105, 0.125)
    jar = Revolution(vec(0.28, 0.38, 0.18), np.linspace(0, 0.3, 9), profile)
    scene.add_round(jar, lambda grid, rng: paintings.pottery(grid, rng, clay=rgb(96, 124, 138)))
    profile = vec(0.27, 0.3, 0.32, 0.335, 0.34, 0.335, 0.32, 0.3, 0.27)
    barrel = Revolution(vec(-2.1, 1.75, 0), np.linspace(0, 0.95, 9), profile)
    scene.add_round(barrel, lambda g, r: textures.planks(g, r, tint=rgb(120, 82, 52), board_m=0.11), 0.0025)
    top = Grid(2 * np.pi * 0.27, 0.27, 0.004)
    scene.add(disk(vec(-2.1, 1.75, 0.95), 0.27), top, textures.granite(top, scene.rng, base=rgb(110, 82, 60)))


def build(seed: int) -> Scene:
    """The whole scene, unlit."""
    scene = Scene(np.random.default_rng(seed))
    add_walls(scene)
    add_pictures(scene)
    add_bench(scene)
    add_yard(scene)
    return scene
