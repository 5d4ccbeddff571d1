"""Makes scenes/courtyard: twelve photos of a procedural courtyard with exact cameras and exact depth.

    python scenes/make_courtyard.py [--out DIR] [--samples 3] [--views 0 5]

Deterministic: the same seeds, numpy, scipy and Pillow give the same files.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from generator.caster import Camera, look_at, render_depth, render_radiance
from generator.courtyard import SUN, build
from PIL import Image

WIDTH, HEIGHT = 640, 480
FOCAL_PX = 0.9 * WIDTH
SENSOR_WIDTH_MM = 6.4  # a compact camera's; only the EXIF focal length in millimetres rests on it
FULL_FRAME_DIAGONAL_MM = 43.27  # the 35 mm equivalent compares diagonals (CIPA DCG-001)
VIEWS = 12
STEP_DEG = 4.0  # walking step, as the angle at the point looked at
TARGET = np.array([0.25, 1.35, 1.0])
DISTANCE_M = 4.1
SCENE_SEED, CAMERA_SEED, SENSOR_SEED = 7, 11, 13
EXPOSURE = 1.0
NOISE_SRGB = 1.1 / 255
JPEG_QUALITY = 88
SPLIT = {
    "sparse3": {"train": [2, 5, 8], "test": [3, 4, 6, 7]},
    "sparse6": {"train": [0, 2, 4, 7, 9, 11], "test": [1, 3, 5, 6, 8, 10]},
}


def walk() -> list[Camera]:
    """Cameras of someone who walks sideways around the corner, hand-held: height, distance, aim and roll wander."""
    rng = np.random.default_rng(CAMERA_SEED)
    cameras = []
    for i in range(VIEWS):
        angle = np.deg2rad(STEP_DEG * (i - (VIEWS - 1) / 2) + rng.uniform(-0.4, 0.4))
        distance = DISTANCE_M + rng.uniform(-0.15, 0.15)
        centre = TARGET + distance * np.array([np.sin(angle), -np.cos(angle), 0.0])
        centre[2] = 1.55 + rng.uniform(-0.14, 0.14)
        target = TARGET + rng.uniform(-0.08, 0.08, 3)
        cam_from_world = np.round(look_at(centre, target, rng.uniform(-1.5, 1.5)), 12)
        cameras.append(Camera(cam_from_world, FOCAL_PX, WIDTH, HEIGHT))
    return cameras


def develop(radiance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Linear radiance to 8-bit sRGB with a soft shoulder and sensor noise."""
    exposed = EXPOSURE * np.clip(radiance, 0, None)
    linear = np.where(exposed < 0.7, exposed, 0.7 + 0.3 * (1 - np.exp(-(np.maximum(exposed, 0.7) - 0.7) / 0.3)))
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    noisy = srgb + rng.normal(0, NOISE_SRGB, srgb.shape)
    return np.clip(np.rint(255 * noisy), 0, 255).astype(np.uint8)


def exif() -> Image.Exif:
    """Make, model and both focal lengths, as a camera would write them."""
    tags = Image.Exif()
    tags[0x010F], tags[0x0110] = "sparse3d", "numpy ray caster"
    details = tags.get_ifd(0x8769)
    details[0x920A] = round(FOCAL_PX * SENSOR_WIDTH_MM / WIDTH, 3)  # FocalLength
    details[0xA405] = round(FOCAL_PX / float(np.hypot(WIDTH, HEIGHT)) * FULL_FRAME_DIAGONAL_MM)  # FocalLengthIn35mmFilm
    return tags


def camera_entry(number: int, camera: Camera) -> dict:
    return {
        "file": f"images/{number:03d}.jpg",
        "width": WIDTH,
        "height": HEIGHT,
        "fx": FOCAL_PX,
        "fy": FOCAL_PX,
        "cx": WIDTH / 2,
        "cy": HEIGHT / 2,
        "cam_from_world": camera.cam_from_world.tolist(),
        "depth": f"depth/{number:03d}.png",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "courtyard")
    parser.add_argument("--samples", type=int, default=3, help="rays a pixel along each axis")
    parser.add_argument("--views", type=int, nargs="*", default=None, help="render these only")
    args = parser.parse_args()
    for folder in ("images", "depth"):
        (args.out / folder).mkdir(parents=True, exist_ok=True)
    scene = build(SCENE_SEED)
    radiance = scene.bake(SUN)
    cameras = walk()
    for number, camera in enumerate(cameras):
        if args.views is not None and number not in args.views:
            continue
        picture = render_radiance(scene.surfaces, radiance, camera, args.samples)
        photo = Image.fromarray(develop(picture, np.random.default_rng([SENSOR_SEED, number])))
        photo.save(args.out / f"images/{number:03d}.jpg", quality=JPEG_QUALITY, optimize=True, exif=exif())
        depth_mm = np.rint(1000 * render_depth(scene.surfaces, camera)).astype(np.uint16)
        Image.fromarray(depth_mm).save(args.out / f"depth/{number:03d}.png", optimize=True)
        print(f"view {number:03d}: depth {depth_mm.min() / 1000:.2f} to {depth_mm.max() / 1000:.2f} m", flush=True)
    entries = [camera_entry(number, camera) for number, camera in enumerate(cameras)]
    document = {"version": 1, "axes": "opencv", "cameras": entries}
    (args.out / "cameras.json").write_text(json.dumps(document, indent=1) + "\n")
    names = {k: {part: [f"{i:03d}.jpg" for i in ids] for part, ids in v.items()} for k, v in SPLIT.items()}
    (args.out / "split.json").write_text(json.dumps(names, indent=1) + "\n")


if __name__ == "__main__":
    main()
