"""Things painted or drawn on surfaces: a landscape, posters, stencils, ivy, pottery. Same return as `textures`."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .noise import Grid, fractal, mix, smoothstep
from .textures import Texture, rgb, vary


def stencil(grid: Grid, lines: list[tuple[str, float, float, float]]) -> np.ndarray:
    """Coverage (h, w) in [0, 1] of text; each line is (text, left, top, letter size) in shares of the grid's height."""
    h, w = grid.shape
    image = Image.new("L", (w, h), 0)
    draw = ImageDraw.Draw(image)
    for text, left, top, size in lines:
        draw.text((left * h, top * h), text, fill=255, font=ImageFont.load_default(size=size * h))
    return np.asarray(image, dtype=float)[::-1] / 255  # row 0 of a texture is its lower edge


def landscape(grid: Grid, rng: np.random.Generator) -> Texture:
    """An oil painting: evening sky, sun, four ridges of hills, a lake, trees, brush strokes, a signature."""
    x, y = grid.coordinates()
    height = y / grid.height_m
    clouds = fractal(x, y * 2.2, 0.5, rng, octaves=6)
    sky = mix(np.broadcast_to(rgb(246, 176, 98), (*x.shape, 3)), rgb(64, 104, 168), smoothstep(0.45, 1.0, height))
    sky = mix(sky, rgb(250, 226, 196), 0.75 * smoothstep(0.2, 1.6, clouds))
    distance = np.hypot(x - 0.31 * grid.width_m, y - 0.73 * grid.height_m)
    albedo = mix(sky, rgb(255, 240, 170), 1 - smoothstep(0.055, 0.065, distance))
    for level, colour in ((0.58, (112, 126, 160)), (0.48, (88, 118, 104)), (0.36, (74, 104, 52)), (0.2, (118, 96, 40))):
        crest = level + 0.05 * fractal(x, np.zeros_like(y), 0.35, rng, octaves=6)
        hill = vary(
            np.broadcast_to(rgb(*colour), albedo.shape), fractal(x, y * 2, 0.12, rng, octaves=5, gain=0.75), 0.3
        )
        albedo = mix(albedo, hill, smoothstep(0.0, 0.012, crest - height))
    lake = smoothstep(0, 0.02, 0.10 + 0.04 * fractal(x, y, 0.6, rng, octaves=3) - np.abs(height - 0.2))
    water = vary(np.broadcast_to(rgb(92, 138, 168), albedo.shape), fractal(x * 0.3, y * 3, 0.08, rng, octaves=4), 0.28)
    albedo = mix(albedo, water, lake)
    albedo = mix(albedo, trees(grid, rng), trees_mask(grid, rng))
    albedo = vary(albedo, fractal(x, y * 0.4, 0.02, rng, octaves=3), 0.09)
    albedo = mix(albedo, rgb(32, 20, 20), 0.8 * stencil(grid, [("Nine Hills, evening", 0.92, 0.92, 0.055)]))
    return albedo, 0.0004 * fractal(x, y * 0.4, 0.02, rng, octaves=3)


def trees_mask(grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """Coverage of a row of poplars and bushes."""
    x, y = grid.coordinates()
    mask = np.zeros(x.shape)
    ragged = 0.25 * fractal(x, y, 0.05, rng, octaves=4)
    for _ in range(9):
        cx, cy = rng.uniform(0.03, 0.97) * grid.width_m, rng.uniform(0.2, 0.42) * grid.height_m
        rx, ry = rng.uniform(0.025, 0.06), rng.uniform(0.06, 0.2)
        mask = np.maximum(mask, smoothstep(0, 0.25, 1 - ((x - cx) / rx) ** 2 - ((y - cy) / ry) ** 2 + ragged))
    return mask


def trees(grid: Grid, rng: np.random.Generator) -> np.ndarray:
    x, y = grid.coordinates()
    return vary(np.broadcast_to(rgb(48, 66, 34), (*x.shape, 3)), fractal(x, y, 0.06, rng, octaves=5, gain=0.8), 0.5)


def poster(grid: Grid, rng: np.random.Generator) -> Texture:
    """A printed bill: two coloured fields, shapes, large and small type, creases, a torn lower edge."""
    x, y = grid.coordinates()
    paper = vary(np.broadcast_to(rgb(232, 220, 192), (*x.shape, 3)), fractal(x, y, 0.3, rng, octaves=6, gain=0.7), 0.06)
    fields = 0.42 * grid.height_m + 0.05 * np.sin(x * 11) > y
    albedo = np.where(fields[..., None], rgb(38, 92, 112), paper)
    for _ in range(14):
        cx, cy = rng.uniform(0, grid.width_m), rng.uniform(0, 0.42) * grid.height_m
        radius = rng.uniform(0.02, 0.09)
        ring = np.abs(np.hypot(x - cx, y - cy) - radius) < rng.uniform(0.004, 0.03)
        albedo = np.where(ring[..., None], rgb(*rng.integers(60, 245, 3)), albedo)
    lines = [("GARDEN", 0.05, 0.03, 0.15), ("& STONE", 0.05, 0.18, 0.12), ("3rd to 9th of June", 0.06, 0.34, 0.055)]
    lines += [("rooms 2, 5 and 8; bring your own light", 0.06, 0.42, 0.032), ("Q7", 0.42, 0.66, 0.26)]
    lines += [("old tools, pots, seeds, maps", 0.06, 0.475, 0.034), ("No 416", 0.08, 0.86, 0.1)]
    albedo = mix(albedo, rgb(176, 36, 40), stencil(grid, lines[:2]))
    albedo = mix(albedo, rgb(30, 30, 36), stencil(grid, lines[2:4] + lines[5:6]))
    albedo = mix(albedo, rgb(246, 208, 84), stencil(grid, [lines[4], lines[6]]))
    albedo = mix(albedo, rgb(150, 126, 92), 0.6 * smoothstep(0.9, 2.0, fractal(x, y, 0.35, rng, octaves=6)))
    creases = np.abs(fractal(x, y, 0.4, rng, octaves=3))
    return mix(albedo, paper, 0.6 * (1 - smoothstep(0.01, 0.05, creases))), -0.001 * (creases < 0.03)


def print_on(texture: Texture, grid: Grid, rng: np.random.Generator, text: list[str], ink: np.ndarray) -> Texture:
    """Stencilled lines of text, worn, over another texture."""
    x, y = grid.coordinates()
    letters = max(len(line) for line in text)
    size = min(0.62 / len(text), 1.35 * grid.width_m / grid.height_m / letters)
    lines = [(line, 0.1, 0.15 + i * 1.12 * size, size) for i, line in enumerate(text)]
    worn = 0.9 * smoothstep(-1.6, -0.4, fractal(x, y, 0.05, rng, octaves=4))
    return mix(texture[0], ink, worn * stencil(grid, lines)), texture[1]


def pottery(grid: Grid, rng: np.random.Generator, *, clay: np.ndarray) -> Texture:
    """A glazed pot: bands with zigzags, dots and waves, each of another period, over mottled clay."""
    x, y = grid.coordinates()
    albedo = vary(np.broadcast_to(clay, (*x.shape, 3)), fractal(x, y, 0.12, rng, octaves=6, gain=0.75), 0.22)
    v = y / grid.height_m
    for centre in (0.18, 0.36, 0.55, 0.74, 0.9):
        colour = rgb(*rng.integers(20, 235, 3))
        period, phase = rng.uniform(0.05, 0.14), rng.uniform(0, 6)
        wave = 0.035 * np.sin(2 * np.pi * x / period + phase + 1.2 * np.sin(3.1 * x / period))
        albedo = mix(albedo, colour, 1 - smoothstep(0.014, 0.02, np.abs(v - centre - wave)))
        for _ in range(12):
            dot = np.hypot(x - rng.uniform(0, grid.width_m), y - (centre + 0.09) * grid.height_m)
            albedo = mix(albedo, rgb(*rng.integers(30, 240, 3)), 1 - smoothstep(0.012, 0.016, dot))
    chips = smoothstep(1.9, 2.1, fractal(x, y, 0.07, rng, octaves=4))
    return mix(albedo, rgb(222, 190, 160), chips), 0.0008 * fractal(x, y, 0.1, rng, octaves=4)


def globe(grid: Grid, rng: np.random.Generator) -> Texture:
    """A painted globe on the sphere's (u, v) map: seas, land in four tints, relief shading, meridians."""
    x, y = grid.coordinates()
    land = fractal(x, y, 0.45, rng, octaves=7, gain=0.6)
    sea = vary(np.broadcast_to(rgb(58, 108, 142), (*x.shape, 3)), fractal(x, y, 0.1, rng, octaves=5), 0.16)
    albedo = sea
    for level, colour in (
        (0.1, (226, 208, 150)),
        (0.22, (122, 146, 74)),
        (0.8, (164, 118, 70)),
        (1.4, (238, 232, 222)),
    ):
        tint = vary(np.broadcast_to(rgb(*colour), albedo.shape), fractal(x, y, 0.05, rng, octaves=4, gain=0.8), 0.2)
        albedo = mix(albedo, tint, smoothstep(level, level + 0.03, land))
    meridian, parallel = grid.width_m / 16, grid.height_m / 9
    lines = np.minimum(np.abs(np.mod(x, meridian) - meridian / 2), np.abs(np.mod(y, parallel) - parallel / 2))
    return mix(albedo, rgb(40, 40, 48), 0.55 * (lines < 0.0022)), 0.002 * np.clip(land, 0, 2)


def ivy(texture: Texture, grid: Grid, rng: np.random.Generator, *, stems: int) -> Texture:
    """Ivy climbing over another texture: wandering stems from the ground, leaves of many greens with shadows."""
    h, w = grid.shape
    image = Image.fromarray(np.zeros((h, w, 3), np.uint8))
    mask = Image.new("L", (w, h), 0)
    draw, cover = ImageDraw.Draw(image), ImageDraw.Draw(mask)
    leaves = []
    for _ in range(stems):
        at = np.array([rng.uniform(0, grid.width_m), 0.0])
        heading = rng.normal(np.pi / 2, 0.2)
        for _ in range(rng.integers(25, 75)):
            heading += rng.normal(0, 0.22) - 0.1 * (heading - np.pi / 2)
            at = at + 0.035 * np.array([np.cos(heading), np.sin(heading)])
            leaves += [at + rng.normal(0, 0.04, 2) for _ in range(3)]
    for k in rng.permutation(len(leaves)):
        size, angle = rng.uniform(0.018, 0.042), rng.uniform(0, 2 * np.pi)
        ring = np.linspace(0, 2 * np.pi, 11)[:-1]
        radius = size * np.array([1.5, 0.7, 1.0, 0.55, 0.8, 0.5, 0.8, 0.55, 1.0, 0.7])
        outline = leaves[k] + radius[:, None] * np.stack([np.cos(ring + angle), np.sin(ring + angle)], -1)
        dark = outline + np.array([-0.008, -0.012])
        green = np.array([86, 116, 52]) * rng.uniform(0.45, 1.5) + rng.normal(0, 9, 3)
        for polygon, colour in ((dark, (26, 32, 18)), (outline, tuple(int(c) for c in np.clip(green, 8, 240)))):
            points = [(float(px) / grid.texel_m, float(py) / grid.texel_m) for px, py in polygon]
            draw.polygon(points, fill=colour)
            cover.polygon(points, fill=255)
        tip = leaves[k] + 1.3 * size * np.array([np.cos(angle), np.sin(angle)])
        vein = [(float(p[0]) / grid.texel_m, float(p[1]) / grid.texel_m) for p in (leaves[k], tip)]
        draw.line(vein, fill=(168, 180, 120), width=1)
    covered = np.asarray(mask, dtype=float) / 255
    leaf = (np.asarray(image, dtype=float) / 255) ** 2.2
    return mix(texture[0], leaf, covered), texture[1] * (1 - covered)
