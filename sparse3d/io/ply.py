"""Gaussians as PLY in the layout of 3D Gaussian Splatting, which other viewers and editors open."""

import logging
import re
from pathlib import Path

import numpy as np
import torch
from numpy import ndarray
from plyfile import PlyData, PlyElement

from sparse3d.core.errors import InputError
from sparse3d.core.gaussians import GaussianParams
from sparse3d.io.atomic import atomic_path

logger = logging.getLogger(__name__)

UNIT_TOLERANCE = 1e-6
"""Ten times what rounding to float32 takes from the length of a unit quaternion."""

MAX_HEADER_BYTES = 64 * 1024
MAX_GAUSSIANS = 100_000_000
SH_COUNTS = {0: 1, 9: 4, 24: 9, 45: 16}
"""Spherical-harmonics coefficients a channel by the number of `f_rest` columns: degrees 0 to 3."""

_REQUIRED = ("x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", "scale_0", "scale_1", "scale_2")
_REQUIRED += ("rot_0", "rot_1", "rot_2", "rot_3")
_BYTES = {"char": 1, "int8": 1, "uchar": 1, "uint8": 1, "short": 2, "int16": 2, "ushort": 2, "uint16": 2}
_BYTES |= {"int": 4, "int32": 4, "uint": 4, "uint32": 4, "float": 4, "float32": 4, "double": 8, "float64": 8}
_REMEDY = "export it again from the program that made it"


def write_gaussians_ply(path: Path, params: GaussianParams) -> None:
    """Write Gaussians as binary little-endian float32 PLY.

    Columns: `x y z nx ny nz f_dc_0..2 f_rest_0..(channel by channel) opacity scale_0..2 rot_0..3` as in the original
    implementation (Kerbl et al. 2023): `opacity` is a logit, `scale_*` are natural logarithms, `rot_*` is a unit
    quaternion wxyz; then our own `confidence` and `observations`, which other programs pass over. Gaussians that are
    not finite are left out, with a warning in the log.

    Raises:
        InputError: the file cannot be written.
    """
    columns = _columns(params)
    finite = np.all([np.isfinite(values) for values in columns.values()], axis=0)
    if not finite.all():
        logger.warning("%s: %d Gaussians with NaN or infinite values are left out", path, int((~finite).sum()))
        columns = {name: values[finite] for name, values in columns.items()}
    table = np.empty(int(finite.sum()), dtype=[(name, "<f4") for name in columns])
    for name, values in columns.items():
        table[name] = values
    ply = PlyData([PlyElement.describe(table, "vertex")], byte_order="<")
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        ply.write(file)


def read_gaussians_ply(path: Path) -> GaussianParams:
    """Read Gaussians in the layout of 3D Gaussian Splatting, as float32 on the CPU.

    `confidence` and `observations` are 1 and 0 where the file does not have them. The file is not trusted: its header
    is checked against its size before anything is allocated.

    Raises:
        InputError: no such file, no PLY, a text PLY, truncated, no Gaussians in it, or NaN or infinite values.
    """
    path = Path(path)
    _check_header(path)
    try:
        with path.open("rb") as file:
            table = PlyData.read(file)["vertex"].data
    except Exception as error:  # plyfile raises PlyParseError, ValueError, KeyError, struct.error and more
        raise InputError(f"{path}: is a damaged PLY file ({error}); {_REMEDY}") from error
    missing = [name for name in _REQUIRED if name not in table.dtype.names]
    if missing:
        raise InputError(
            f"{path}: is a PLY file but not one of 3D Gaussians: it has no {', '.join(missing[:4])}; "
            "a point cloud or mesh cannot be used here"
        )
    return _to_params(path, table)


def _unit_quats(quats_wxyz: torch.Tensor) -> torch.Tensor:
    """Normalised, except that those of unit length up to rounding keep their bits; zero becomes no rotation."""
    quats = quats_wxyz.detach().double()
    norm = quats.norm(dim=-1, keepdim=True)
    identity = torch.tensor([1.0, 0, 0, 0], dtype=quats.dtype, device=quats.device)
    unit = torch.where(norm > 0, quats / norm, identity)
    return torch.where((norm - 1).abs() < UNIT_TOLERANCE, quats, unit)


def _columns(params: GaussianParams) -> dict[str, ndarray]:
    def numpy(tensor: torch.Tensor) -> ndarray:
        return tensor.detach().cpu().to(torch.float32).numpy()

    means, log_scales, sh = numpy(params.means), numpy(params.log_scales), numpy(params.sh)
    quats = numpy(_unit_quats(params.quats_wxyz))
    zeros = np.zeros(len(params), dtype=np.float32)
    rest = sh[:, 1:].transpose(0, 2, 1).reshape(len(params), -1)
    columns = {name: means[:, i] for i, name in enumerate("xyz")}
    columns |= dict.fromkeys(("nx", "ny", "nz"), zeros)
    columns |= {f"f_dc_{i}": sh[:, 0, i] for i in range(3)}
    columns |= {f"f_rest_{i}": rest[:, i] for i in range(rest.shape[1])}
    columns["opacity"] = numpy(params.logit_opacities)
    columns |= {f"scale_{i}": log_scales[:, i] for i in range(3)}
    columns |= {f"rot_{i}": quats[:, i] for i in range(4)}
    return columns | {"confidence": numpy(params.confidence), "observations": numpy(params.observations)}


def _to_params(path: Path, table: ndarray) -> GaussianParams:
    names = table.dtype.names or ()

    def stack(columns: list[str]) -> torch.Tensor:
        values = np.stack([table[name].astype(np.float32) for name in columns], axis=1)
        if not np.isfinite(values).all():
            broken = int((~np.isfinite(values)).any(axis=1).sum())
            raise InputError(f"{path}: {broken} Gaussians have NaN or infinite {columns[0].rstrip('_0')}; {_REMEDY}")
        return torch.from_numpy(values)

    rest_count = sum(re.fullmatch(r"f_rest_\d+", name) is not None for name in names)
    if rest_count not in SH_COUNTS or any(f"f_rest_{i}" not in names for i in range(rest_count)):
        raise InputError(f"{path}: has {rest_count} f_rest columns, expected one of {sorted(SH_COUNTS)}; {_REMEDY}")
    sh = stack(["f_dc_0", "f_dc_1", "f_dc_2"])[:, None, :]
    if rest_count:
        rest = stack([f"f_rest_{i}" for i in range(rest_count)]).reshape(len(table), 3, -1).transpose(1, 2)
        sh = torch.cat([sh, rest], dim=1)
    has_ours = "confidence" in names and "observations" in names
    confidence, observations = stack(["confidence", "observations"]).T if has_ours else torch.ones(2, len(table))
    return GaussianParams(
        means=stack(["x", "y", "z"]),
        quats_wxyz=stack([f"rot_{i}" for i in range(4)]),
        log_scales=stack([f"scale_{i}" for i in range(3)]),
        logit_opacities=stack(["opacity"])[:, 0],
        sh=sh.contiguous(),
        confidence=confidence.clamp(0, 1).contiguous(),
        observations=(observations if has_ours else torch.zeros_like(observations))
        .clamp(0, 2**24)
        .round()
        .to(torch.int32),
    )


def _check_header(path: Path) -> None:
    """Read the header ourselves and refuse what a parser should not be given: lists, text, more rows than bytes."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with path.open("rb") as file:
            head = file.read(MAX_HEADER_BYTES)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    end = re.search(rb"\nend_header\r?\n", head)
    if not head.startswith(b"ply") or end is None:
        raise InputError(f"{path}: is not a PLY file")
    lines = [line.split() for line in head[: end.start()].decode("ascii", errors="replace").splitlines()]
    elements: list[list] = []
    for words in lines:
        if words[:1] == ["format"] and words[1:2] != ["binary_little_endian"]:
            raise InputError(f"{path}: is a {' '.join(words[1:2])} PLY; only binary_little_endian is read: convert it")
        if words[:1] == ["element"]:
            if len(words) != 3 or not words[2].isdigit() or len(words[2]) > 12:
                raise InputError(f"{path}: has a damaged PLY header ({' '.join(words)[:60]}); {_REMEDY}")
            elements.append([words[1], int(words[2]), 0])
        if words[:1] == ["property"]:
            if len(words) != 3 or words[1] not in _BYTES or not elements:
                raise InputError(
                    f"{path}: property {' '.join(words[1:])[:60]!r} does not belong to 3D Gaussians; "
                    "a mesh or another kind of PLY cannot be used here"
                )
            elements[-1][2] += _BYTES[words[1]]
    rows = {name: count for name, count, _ in elements}
    if rows.get("vertex", 0) < 1:
        raise InputError(f"{path}: holds no Gaussians (no vertex element with rows)")
    needed = sum(count * size for _, count, size in elements)
    available = path.stat().st_size - end.end()
    if rows["vertex"] > MAX_GAUSSIANS or needed > available:
        raise InputError(
            f"{path}: its header promises {rows['vertex']} Gaussians in {needed} bytes but {available} follow; "
            f"it is truncated or damaged: {_REMEDY}"
        )
