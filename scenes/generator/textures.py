"""Building materials: each function paints a Grid and returns (albedo (h w 3) linear RGB, relief (h w) metres)."""

from __future__ import annotations

import numpy as np

from .noise import Grid, fractal, mix, smooth_noise, smoothstep, voronoi

Texture = tuple[np.ndarray, np.ndarray]


def rgb(*srgb: float) -> np.ndarray:
    """A colour given as 8-bit sRGB, in linear RGB."""
    return (np.array(srgb) / 255) ** 2.2


def vary(albedo: np.ndarray, field: np.ndarray, amount: float) -> np.ndarray:
    """Brightness modulated by a unit-variance field."""
    return np.clip(albedo * np.exp(amount * field)[..., None], 0.008, 0.92)


def bricks(grid: Grid, rng: np.random.Generator) -> Texture:
    """Running bond of hand-made bricks: uneven edges, burnt ones, mortar, soot, lime and moss."""
    x, y = grid.coordinates()
    warped_x = x + 0.006 * fractal(x, y, 0.12, rng, octaves=3)
    warped_y = y + 0.005 * fractal(x, y, 0.25, rng, octaves=4)
    length, course, joint = 0.235, 0.082, 0.013
    row = np.floor(warped_y / course).astype(int)
    shift = rng.uniform(-0.05, 0.05, row.max() - row.min() + 1)[row - row.min()] + 0.5 * (row % 2)
    column = np.floor(warped_x / length + shift).astype(int)
    in_x = (warped_x / length + shift - column) * length
    in_y = warped_y - row * course
    edge = np.minimum.reduce([in_x, length - in_x, in_y, course - in_y]) - joint / 2
    number = (row - row.min()) * (np.ptp(column) + 1) + column - column.min()
    seed = rng.uniform(0, 1, (number.max() + 1, 3))[number]
    palette = np.stack([rgb(154, 92, 70), rgb(172, 114, 86), rgb(124, 70, 58), rgb(192, 148, 116), rgb(92, 68, 64)])
    kind = np.searchsorted(np.array([0.38, 0.66, 0.85, 0.94]), seed[..., 0])
    brick = vary(palette[kind], 2 * seed[..., 1] - 1, 0.22)
    brick = vary(brick, fractal(x, y, 0.06, rng, octaves=4, gain=0.75), 0.2)
    pits = smoothstep(1.5, 2.2, fractal(x, y, 0.03, rng, octaves=2))
    brick = mix(brick, rgb(60, 40, 36), 0.6 * pits)
    mortar = vary(np.broadcast_to(rgb(172, 164, 148), brick.shape), fractal(x, y, 0.03, rng, octaves=3, gain=0.8), 0.18)
    face = smoothstep(0.0, 0.006, edge + 0.0015 * fractal(x, y, 0.02, rng, octaves=2))
    albedo = mix(mortar, brick, face)
    lime = smoothstep(0.7, 1.9, fractal(x, y, 0.9, rng, octaves=6, gain=0.65))
    albedo = mix(albedo, rgb(206, 198, 184), 0.55 * lime)
    moss = smoothstep(0.2, 1.4, fractal(x, y, 0.35, rng, octaves=6, gain=0.7) - 2.2 * y + 0.6)
    green = vary(np.broadcast_to(rgb(72, 84, 46), albedo.shape), fractal(x, y, 0.03, rng), 0.3)
    albedo = mix(albedo, green, 0.8 * moss)
    albedo = vary(albedo, fractal(x, y, 1.3, rng, octaves=5), 0.2)
    relief = 0.006 * face + 0.0012 * fractal(x, y, 0.025, rng, octaves=3) - 0.003 * pits
    return albedo, relief


def planks(grid: Grid, rng: np.random.Generator, *, tint: np.ndarray, board_m: float = 0.16) -> Texture:
    """Weathered boards along v with grain, knots, nails and gaps; `tint` is the wood's linear RGB."""
    x, y = grid.coordinates()
    wander = 0.003 * smooth_noise(x, y, 0.7, rng)
    board = np.floor((x + wander) / board_m).astype(int)
    board -= board.min()
    in_board = np.mod(x + wander, board_m)
    count = int(board.max()) + 1
    tone = rng.normal(0, 0.22, count)[board]
    offset = rng.uniform(0, 40, count)[board]
    across = x + 0.35 * offset + 0.012 * smooth_noise(x, y + 3 * offset, 0.3, rng)
    knots = np.zeros(x.shape)
    for _ in range(max(3, int(1.6 * grid.width_m * grid.height_m / board_m))):
        kx, ky = rng.uniform(0, grid.width_m), rng.uniform(0, grid.height_m)
        knots += np.exp(-((x - kx) ** 2) / 0.014**2 / 2 - ((y - ky) ** 2) / 0.028**2 / 2)
    knots = np.clip(knots, 0, 1)
    grain = fractal(across + 0.03 * knots, (y + offset) * 0.06, 0.012, rng, octaves=3, gain=0.8)
    streaks = fractal(across, (y + offset) * 0.15, 0.07, rng, octaves=4, gain=0.7)
    albedo = vary(np.broadcast_to(tint, (*x.shape, 3)), tone + 0.17 * grain + 0.16 * streaks + 0.15 * rng.normal(), 1.0)
    albedo = mix(albedo, rgb(62, 38, 24), 0.8 * smoothstep(0.25, 0.9, knots))
    weather = smoothstep(0.3, 1.6, fractal(x, y, 0.6, rng, octaves=6, gain=0.7))
    albedo = mix(albedo, rgb(150, 146, 138), 0.45 * weather)
    edge = np.minimum(in_board, board_m - in_board)
    gap = 1 - smoothstep(0.002, 0.006, edge)
    albedo = mix(albedo, rgb(28, 22, 18), 0.9 * gap)
    nail_y = np.mod(y + 0.03 * np.sin(board * 7.0), 0.62) - 0.31
    nail = np.hypot(in_board - board_m / 2 + 0.02 * np.sin(board * 3.0), nail_y) < 0.006
    albedo[nail] = rgb(70, 52, 44)
    albedo = vary(albedo, fractal(x, y, 0.02, rng, octaves=2), 0.05)
    return albedo, 0.0006 * grain - 0.006 * gap + 0.001 * knots


def flagstones(grid: Grid, rng: np.random.Generator) -> Texture:
    """Irregular paving: stones of several rocks, speckled, cracked, with earth and moss in the joints."""
    x, y = grid.coordinates()
    warped_x, warped_y = (a + 0.02 * fractal(x, y, 0.3, rng, octaves=4) for a in (x, y))
    cell, edge, count = voronoi(warped_x, warped_y, 0.42, rng)
    rocks = np.stack(
        [rgb(140, 136, 130), rgb(168, 156, 136), rgb(118, 114, 114), rgb(156, 132, 112), rgb(182, 176, 164)]
    )
    stone = vary(rocks[rng.integers(0, len(rocks), count)][cell], rng.normal(0, 0.16, count)[cell], 1.0)
    stone = vary(stone, fractal(x, y, 0.1, rng, octaves=6, gain=0.8), 0.2)
    dark = smoothstep(1.2, 1.8, fractal(x, y, 0.02, rng, octaves=2))
    stone = mix(stone, rgb(66, 62, 60), 0.65 * dark)
    lichen = smoothstep(1.3, 2.0, fractal(x, y, 0.16, rng, octaves=5, gain=0.7))
    stone = mix(stone, rgb(196, 190, 150), 0.7 * lichen)
    _, crack, _ = voronoi(x + 0.05 * fractal(x, y, 0.2, rng), y + 0.05 * fractal(x, y, 0.2, rng), 0.9, rng)
    stone = mix(stone, rgb(50, 46, 44), 0.7 * (1 - smoothstep(0.0015, 0.005, crack)))
    earth = vary(np.broadcast_to(rgb(84, 72, 56), stone.shape), fractal(x, y, 0.02, rng, octaves=3, gain=0.8), 0.35)
    moss = smoothstep(-0.2, 0.9, fractal(x, y, 0.5, rng, octaves=5))
    joint = mix(earth, vary(np.broadcast_to(rgb(70, 88, 44), stone.shape), fractal(x, y, 0.02, rng), 0.3), moss)
    face = smoothstep(0.006, 0.022, edge + 0.004 * fractal(x, y, 0.04, rng, octaves=3))
    albedo = vary(mix(joint, stone, face), fractal(x, y, 1.1, rng, octaves=5), 0.16)
    relief = 0.008 * face + 0.0015 * fractal(x, y, 0.06, rng, octaves=4, gain=0.7)
    return albedo, relief


def plaster(grid: Grid, rng: np.random.Generator) -> Texture:
    """Ochre render, stained, cracked and fallen off in patches down to the bricks."""
    x, y = grid.coordinates()
    coat = vary(np.broadcast_to(rgb(206, 178, 132), (*x.shape, 3)), fractal(x, y, 0.5, rng, octaves=7, gain=0.7), 0.13)
    coat = mix(coat, rgb(226, 214, 190), 0.7 * smoothstep(0.4, 1.4, fractal(x, y, 0.7, rng, octaves=6)))
    drips = fractal(x, y * 0.15, 0.08, rng, octaves=4, gain=0.7)
    coat = mix(coat, rgb(120, 104, 84), 0.5 * smoothstep(0.9, 2.2, drips))
    _, crack, _ = voronoi(x + 0.08 * fractal(x, y, 0.3, rng), y + 0.08 * fractal(x, y, 0.3, rng), 0.8, rng)
    coat = mix(coat, rgb(92, 76, 60), 0.75 * (1 - smoothstep(0.0015, 0.006, crack)))
    brick, brick_relief = bricks(grid, rng)
    bare = fractal(x, y, 0.75, rng, octaves=7, gain=0.55)
    hole = smoothstep(0.95, 1.0, bare)
    rim = smoothstep(0.85, 0.95, bare) * (1 - hole)
    albedo = mix(mix(coat, rgb(178, 164, 142), 0.7 * rim), 0.85 * brick, hole)
    relief = (1 - hole) * (0.02 + 0.0012 * fractal(x, y, 0.05, rng, octaves=4)) + hole * brick_relief
    return albedo, relief


def granite(grid: Grid, rng: np.random.Generator, *, base: np.ndarray) -> Texture:
    """Hewn stone: grains of three colours, veins and weathering over the `base` colour (linear RGB)."""
    x, y = grid.coordinates()
    albedo = vary(np.broadcast_to(base, (*x.shape, 3)), fractal(x, y, 0.25, rng, octaves=7, gain=0.8), 0.24)
    black, white, rust = rgb(52, 50, 54), rgb(214, 206, 196), rgb(160, 112, 92)
    for colour, threshold, size in ((black, 1.0, 0.03), (white, 1.2, 0.022), (rust, 1.3, 0.035)):
        grains = smoothstep(threshold, threshold + 0.5, fractal(x, y, size, rng, octaves=3))
        albedo = mix(albedo, colour, 0.75 * grains)
    vein = np.abs(fractal(x, y, 0.5, rng, octaves=5, gain=0.6))
    albedo = mix(albedo, rgb(220, 214, 202), 0.6 * (1 - smoothstep(0.02, 0.06, vein)))
    return albedo, 0.0015 * fractal(x, y, 0.05, rng, octaves=4, gain=0.75)
