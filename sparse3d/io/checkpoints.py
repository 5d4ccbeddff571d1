"""The dataclasses that stages hand on, as checkpoints of named arrays."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from sparse3d.core.cameras import Cameras
from sparse3d.core.errors import InputError
from sparse3d.core.gaussians import GaussianParams
from sparse3d.core.geometry_prior import CameraPrior, GeometryPrior, PoseSigmas, SparsePoints, ViewDepth
from sparse3d.core.photo_check import PhotoCheck
from sparse3d.io.arrays import load_arrays, save_arrays

__all__ = [
    "load_arrays",
    "load_camera_prior",
    "load_geometry_prior",
    "load_params",
    "save_arrays",
    "save_camera_prior",
    "save_geometry_prior",
    "save_params",
]

Arrays = dict[str, ndarray]
T = TypeVar("T")


def save_params(path: Path, params: GaussianParams) -> None:
    """Write Gaussians' parameters, exactly. Errors as in `save_arrays`."""
    save_arrays(path, _pack_tensors("gaussians", params), {"kind": "gaussians"})


def load_params(path: Path) -> GaussianParams:
    """Read Gaussians' parameters.

    Raises:
        InputError: missing, damaged, or another kind of file.
    """
    return _load(path, "gaussians", lambda arrays, _: _unpack_tensors(GaussianParams, "gaussians", arrays))


def save_camera_prior(path: Path, prior: CameraPrior) -> None:
    """Write the first half of a prior. Errors as in `save_arrays`."""
    arrays, cameras_meta = _pack_cameras("cameras", prior.cameras)
    arrays |= _pack_tensors("points", prior.points) | _pack_sigmas(prior)
    save_arrays(path, arrays, {"kind": "camera prior", "cameras": cameras_meta, **_pack_notes(prior)})


def load_camera_prior(path: Path) -> CameraPrior:
    """Read the first half of a prior.

    Raises:
        InputError: missing, damaged, or another kind of file.
    """

    def build(arrays: Arrays, meta: dict[str, Any]) -> CameraPrior:
        return CameraPrior(
            cameras=_unpack_cameras("cameras", arrays, meta["cameras"]),
            points=_unpack_tensors(SparsePoints, "points", arrays),
            pose_sigmas=_unpack_sigmas(arrays),
            **_unpack_notes(meta),
        )

    return _load(path, "camera prior", build)


def save_geometry_prior(path: Path, prior: GeometryPrior) -> None:
    """Write a prior: cameras, and each view's depth, confidence, picture and mask. Errors as in `save_arrays`."""
    arrays, cameras_meta = _pack_cameras("cameras", prior.cameras)
    full_arrays, full_meta = _pack_cameras("full_cameras", prior.full_cameras)
    arrays |= full_arrays | _pack_tensors("points", prior.points) | _pack_sigmas(prior)
    for i, depth in enumerate(prior.depths):
        arrays |= _pack_tensors(f"depth_{i}", depth)
        arrays[f"image_{i}"], arrays[f"mask_{i}"] = _numpy(prior.images[i]), _numpy(prior.masks[i])
    meta = {
        "kind": "geometry prior",
        "cameras": cameras_meta,
        "full_cameras": full_meta,
        "scale_kind": prior.scale_kind,
        "checks": [asdict(check) for check in prior.checks],
    }
    save_arrays(path, arrays, meta | {"views": len(prior.depths)} | _pack_notes(prior))


def load_geometry_prior(path: Path) -> GeometryPrior:
    """Read a prior.

    Raises:
        InputError: missing, damaged, or another kind of file.
    """

    def build(arrays: Arrays, meta: dict[str, Any]) -> GeometryPrior:
        views = range(meta["views"])
        return GeometryPrior(
            cameras=_unpack_cameras("cameras", arrays, meta["cameras"]),
            depths=tuple(_unpack_tensors(ViewDepth, f"depth_{i}", arrays) for i in views),
            images=tuple(_tensor(arrays[f"image_{i}"]) for i in views),
            masks=tuple(_tensor(arrays[f"mask_{i}"]) for i in views),
            full_cameras=_unpack_cameras("full_cameras", arrays, meta["full_cameras"]),
            points=_unpack_tensors(SparsePoints, "points", arrays),
            scale_kind=meta["scale_kind"],
            pose_sigmas=_unpack_sigmas(arrays),
            checks=tuple(PhotoCheck(**check) for check in meta.get("checks", ())),
            **_unpack_notes(meta),
        )

    return _load(path, "geometry prior", build)


def _load(path: Path, kind: str, build: Callable[[Arrays, dict[str, Any]], T]) -> T:
    arrays, meta = load_arrays(path)
    if meta.get("kind") != kind:
        raise InputError(f"{path}: holds {meta.get('kind')!r}, expected {kind!r}; delete it and run again")
    try:
        return build(arrays, meta)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            f"{path}: lacks or garbles a part of the {kind} ({error!r}); delete it and run again"
        ) from error


def _pack_tensors(prefix: str, value: Any) -> Arrays:
    """The fields of a dataclass of tensors only."""
    return {f"{prefix}/{f.name}": _numpy(getattr(value, f.name)) for f in fields(value)}


def _unpack_tensors(kind: type[T], prefix: str, arrays: Arrays) -> T:
    return kind(**{f.name: _tensor(arrays[f"{prefix}/{f.name}"]) for f in fields(kind)})  # pyright: ignore[reportArgumentType]


def _pack_sigmas(prior: CameraPrior | GeometryPrior) -> Arrays:
    return {} if prior.pose_sigmas is None else _pack_tensors("pose_sigmas", prior.pose_sigmas)


def _unpack_sigmas(arrays: Arrays) -> PoseSigmas | None:
    known = any(name.startswith("pose_sigmas/") for name in arrays)
    return _unpack_tensors(PoseSigmas, "pose_sigmas", arrays) if known else None


def _pack_cameras(prefix: str, cameras: Cameras) -> tuple[Arrays, dict[str, Any]]:
    arrays, meta = {}, {}
    for field in fields(cameras):
        value = getattr(cameras, field.name)
        if isinstance(value, Tensor):
            arrays[f"{prefix}/{field.name}"] = _numpy(value)
        else:
            meta[field.name] = value
    return arrays, meta


def _unpack_cameras(prefix: str, arrays: Arrays, meta: dict[str, Any]) -> Cameras:
    plain: dict[str, Any] = {
        name: tuple(tuple(v) if isinstance(v, list) else v for v in values) for name, values in meta.items()
    }
    tensors: dict[str, Any] = {
        f.name: _tensor(arrays[f"{prefix}/{f.name}"]) for f in fields(Cameras) if f.name not in plain
    }
    return Cameras(**plain, **tensors)


def _pack_notes(prior: CameraPrior | GeometryPrior) -> dict[str, Any]:
    return {"unplaced": prior.unplaced, "warnings": prior.warnings, "source": prior.source}


def _unpack_notes(meta: dict[str, Any]) -> dict[str, Any]:
    unplaced: Sequence[Sequence[str]] = meta["unplaced"]
    return {
        "unplaced": tuple((name, reason) for name, reason in unplaced),
        "warnings": tuple(meta["warnings"]),
        "source": meta["source"],
    }


def _numpy(tensor: Tensor) -> ndarray:
    return tensor.detach().cpu().numpy()


def _tensor(array: ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))
