"""COLMAP's sparse models, binary and text, read and written by pycolmap. Its pixel centres lie at +0.5 as ours do."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pycolmap
import torch
from torch import Tensor

from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError
from sparse3d.core.geometry_prior import SparsePoints
from sparse3d.io.atomic import clear_write_errors, make_folder
from sparse3d.io.cameras_json import group_by_intrinsics

# For each camera model the places of fx, fy, cx, cy and of k1, k2, p1, p2 among its parameters.
_MODELS: dict[str, tuple[tuple[int, int, int, int], tuple[int, ...]]] = {
    "SIMPLE_PINHOLE": ((0, 0, 1, 2), ()),
    "PINHOLE": ((0, 1, 2, 3), ()),
    "SIMPLE_RADIAL": ((0, 0, 1, 2), (3,)),
    "RADIAL": ((0, 0, 1, 2), (3, 4)),
    "OPENCV": ((0, 1, 2, 3), (4, 5, 6, 7)),
}


def is_colmap_model(folder: Path) -> bool:
    """Whether a folder holds a COLMAP model itself."""
    return any((folder / f"images{suffix}").is_file() for suffix in (".bin", ".txt"))


def read_colmap(folder: Path) -> tuple[Cameras, SparsePoints]:
    """Read a COLMAP model: its registered images, sorted by name, and its points.

    Everything is marked as known. Track views are indices into the cameras; images that share a COLMAP camera share a
    group.

    Raises:
        InputError: no model there, a damaged one, no registered image, or a camera model that is not supported.
    """
    folder = Path(folder)
    return read_model(_open_model(folder), str(folder))


def read_model(model: pycolmap.Reconstruction, folder: str) -> tuple[Cameras, SparsePoints]:
    """The same for a model in memory.

    Args:
        folder: where it is from, for messages.
    """
    images = sorted((image for image in model.images.values() if image.has_pose), key=lambda image: image.name)
    if not images:
        raise InputError(f"{folder}: the COLMAP model has no registered images")
    parsed = {camera_id: _parse_camera(folder, camera) for camera_id, camera in model.cameras.items()}
    poses = np.stack([np.vstack([image.cam_from_world().matrix(), [0, 0, 0, 1]]) for image in images])
    numbers = {camera_id: number for number, camera_id in enumerate(sorted(parsed))}
    intrinsics = [parsed[image.camera_id] for image in images]
    if not np.isfinite(poses).all() or not all(np.isfinite(K).all() for K, _, _ in intrinsics):
        raise InputError(
            f"{folder}: the COLMAP model has poses or intrinsics that are not finite; reconstruct it again"
        )
    cameras = Cameras.build(
        torch.tensor(poses),
        torch.tensor(np.stack([K for K, _, _ in intrinsics])),
        [size for _, _, size in intrinsics],
        distortion=torch.tensor(np.stack([distortion for _, distortion, _ in intrinsics])),
        names=[image.name for image in images],
        groups=[numbers[image.camera_id] for image in images],
        pose_known=True,
        intrinsics_known=True,
    )
    return cameras, _read_points(model, images)


def write_colmap(folder: Path, cameras: Cameras, points: SparsePoints, *, binary: bool = True) -> None:
    """Write a COLMAP model that pycolmap opens: PINHOLE and OPENCV cameras, poses, points with their tracks.

    Views whose pose or intrinsics are NaN are left out. Views of one group that agree in size, intrinsics and
    distortion share a COLMAP camera. The files of the model replace those in the folder.

    Args:
        folder: `sparse/0` by COLMAP's habit; created where missing.

    Raises:
        InputError: a file cannot be written.
    """
    model = _build_model(cameras, points)
    make_folder(folder)
    with clear_write_errors(folder):
        temporary = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
        try:
            (model.write_binary if binary else model.write_text)(temporary)
            _check_complete(temporary, model)
            for stale in (p for p in folder.iterdir() if p.suffix in (".bin", ".txt")):
                stale.unlink()
            for file in temporary.iterdir():
                file.replace(folder / file.name)
        except (RuntimeError, ValueError, IndexError, MemoryError) as error:
            raise InputError(
                f"{folder}: the COLMAP model did not arrive there whole: free some space, or choose another place with "
                f"--out ({error})"
            ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _check_complete(written: Path, model: pycolmap.Reconstruction) -> None:
    """Read a model back and compare what it holds: on a full disk pycolmap writes half of it and says nothing.

    Raises:
        ValueError: something is missing.
    """
    copy = pycolmap.Reconstruction(written)
    wanted, found = ((m.num_images(), m.num_points3D(), m.compute_num_observations()) for m in (model, copy))
    if wanted != found:
        raise ValueError(f"images, points, observations: {found} arrived of {wanted}")


def _open_model(folder: Path) -> pycolmap.Reconstruction:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    if not is_colmap_model(folder):
        raise InputError(f"{folder}: holds no COLMAP model (images.bin or images.txt with its cameras and points3D)")
    try:
        return pycolmap.Reconstruction(folder)
    except Exception as error:  # pycolmap raises ValueError, RuntimeError and IndexError on damaged files
        raise InputError(f"{folder}: the COLMAP model is damaged or incomplete ({error}); export it again") from error


def _parse_camera(folder: str, camera: pycolmap.Camera) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """K, distortion and size of a COLMAP camera."""
    if camera.model_name not in _MODELS:
        raise InputError(
            f"{folder}: camera {camera.camera_id} has the model {camera.model_name}; read are {', '.join(_MODELS)}: "
            "undistort the photos with 'colmap image_undistorter', or reconstruct with --ImageReader.camera_model OPENCV"
        )
    places, distortion_places = _MODELS[camera.model_name]
    fx, fy, cx, cy = (camera.params[i] for i in places)
    distortion = np.zeros(4)
    distortion[: len(distortion_places)] = [camera.params[i] for i in distortion_places]
    if fx <= 0 or fy <= 0 or camera.width <= 0 or camera.height <= 0:
        raise InputError(f"{folder}: camera {camera.camera_id} has no positive focal length or size")
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]]), distortion, (int(camera.width), int(camera.height))


def _read_points(model: pycolmap.Reconstruction, images: list[pycolmap.Image]) -> SparsePoints:
    view_of = {image.image_id: view for view, image in enumerate(images)}
    pixels_of = {image.image_id: [point.xy for point in image.points2D] for image in images}
    ids = sorted(model.points3D)
    points = [model.points3D[i] for i in ids]
    tracks = [
        (view_of[element.image_id], index, pixels_of[element.image_id][element.point2D_idx])
        for index, point in enumerate(points)
        for element in point.track.elements
        if element.image_id in view_of
    ]
    return SparsePoints(
        points=_table([p.xyz for p in points], 3),
        colours=_table([p.color / 255.0 for p in points], 3),
        errors_px=torch.tensor([max(p.error, 0.0) for p in points], dtype=torch.float64),
        track_views=torch.tensor([view for view, _, _ in tracks], dtype=torch.int64),
        track_points=torch.tensor([point for _, point, _ in tracks], dtype=torch.int64),
        track_pixels=_table([pixel for _, _, pixel in tracks], 2),
    )


def _build_model(cameras: Cameras, points: SparsePoints) -> pycolmap.Reconstruction:
    model = pycolmap.Reconstruction()
    K, distortion, poses = (
        x.detach().cpu().double().numpy() for x in (cameras.K, cameras.distortion, cameras.cam_from_world)
    )
    written = [v for v in range(len(cameras)) if np.isfinite(K[v]).all() and np.isfinite(poses[v]).all()]
    shared = group_by_intrinsics(cameras.sizes, K.tolist(), distortion.tolist())
    camera_ids: dict[tuple[int, int], int] = {}
    views, pixels = points.track_views.tolist(), points.track_pixels.detach().cpu().double().numpy()
    place, keypoints = _place_in_views(views, len(cameras))
    for view in written:
        key = (cameras.groups[view], shared[view])
        if key not in camera_ids:
            camera_ids[key] = len(camera_ids) + 1
            model.add_camera_with_trivial_rig(
                _colmap_camera(camera_ids[key], K[view], distortion[view], cameras.sizes[view])
            )
        image = pycolmap.Image(
            name=cameras.names[view],
            camera_id=camera_ids[key],
            image_id=view + 1,
            points2D=pycolmap.Point2DList([pycolmap.Point2D(pixels[o]) for o in keypoints[view]]),
        )
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(poses[view, :3]))
    _add_points(model, points, set(written), place)
    return model


def _place_in_views(views: list[int], count: int) -> tuple[list[int], list[list[int]]]:
    """Each observation's index among those of its view, and each view's observations."""
    keypoints: list[list[int]] = [[] for _ in range(count)]
    place = []
    for observation, view in enumerate(views):
        place.append(len(keypoints[view]))
        keypoints[view].append(observation)
    return place, keypoints


def _add_points(model: pycolmap.Reconstruction, points: SparsePoints, written: set[int], place: list[int]) -> None:
    tracks: list[list[tuple[int, int]]] = [[] for _ in range(len(points.points))]
    for observation, (view, point) in enumerate(
        zip(points.track_views.tolist(), points.track_points.tolist(), strict=True)
    ):
        if view in written:
            tracks[point].append((view + 1, place[observation]))
    xyz = points.points.detach().cpu().double().numpy()
    colours = np.round(np.clip(points.colours.detach().cpu().numpy(), 0, 1) * 255).astype(np.uint8)
    errors = points.errors_px.tolist()
    for index, elements in enumerate(tracks):
        if not np.isfinite(xyz[index]).all():
            continue
        track = pycolmap.Track()
        for image_id, point2D_index in elements:
            track.add_element(image_id, point2D_index)
        point_id = model.add_point3D(xyz[index], track, colours[index])
        model.points3D[point_id].error = errors[index]


def _colmap_camera(camera_id: int, K: np.ndarray, distortion: np.ndarray, size: tuple[int, int]) -> pycolmap.Camera:
    params = [K[0, 0], K[1, 1], K[0, 2], K[1, 2]]
    if distortion.any():
        params += distortion.tolist()
    model = "OPENCV" if distortion.any() else "PINHOLE"
    return pycolmap.Camera(camera_id=camera_id, model=model, width=size[0], height=size[1], params=params)


def _table(rows: list, width: int) -> Tensor:
    """Rows as float64, also when there are none."""
    return torch.tensor(np.array(rows, dtype=np.float64).reshape(-1, width))
