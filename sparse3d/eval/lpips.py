"""LPIPS, the learned perceptual distance of Zhang et al. 2018 (version 0.1), with weights that the user has.

The networks are defined here in plain torch, so that neither `lpips` nor `torchvision` has to be importable. A distance
needs two files, found by `find_weights`:

* the features: torchvision's published ImageNet checkpoint, `alexnet-owt-*.pth` or `vgg16-*.pth`, in the folder that
  the environment variable `SPARSE3D_WEIGHTS` names, else in torch hub's cache (`torch.hub.get_dir()/checkpoints`);
* the linear heads: `alex.pth` or `vgg.pth` (version 0.1), in `$SPARSE3D_WEIGHTS/lpips`, else within an installed
  `lpips` package, else within an installed `torchmetrics`.

Nothing is downloaded and no code in a file is run (`weights_only`). Without the files there is no distance, and nothing
else is ever reported under its name.
"""

import hashlib
import importlib.util
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from sparse3d.core.errors import InputError, MissingDependency
from sparse3d.eval.image_metrics import Image

Net = Literal["alex", "vgg"]
NETS: tuple[Net, ...] = ("alex", "vgg")

WEIGHTS_VARIABLE = "SPARSE3D_WEIGHTS"
FEATURE_FILES: dict[str, tuple[str, str]] = {
    "alex": ("alexnet-owt-*.pth", "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"),
    "vgg": ("vgg16-*.pth", "https://download.pytorch.org/models/vgg16-397923af.pth"),
}
"""For each network the file names that its features go by, and where torchvision publishes them."""

HEADS_WITHIN_PACKAGES = (("lpips", "weights/v0.1"), ("torchmetrics", "functional/image/lpips_models"))
"""Packages whose wheels carry the linear heads, and the folder within."""

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""The input in [-1, 1] is normalised to ImageNet's mean and deviation, as published with the heads."""

NORM_EPS = 1e-10
"""Added to the length of a feature vector before the division by it, as published."""

MIN_SIDE_PX = {"alex": 31, "vgg": 16}
"""Below it a pooling layer has nothing left to pool."""


@dataclass(frozen=True)
class WeightFiles:
    """The two files of one network."""

    features: Path
    heads: Path


@dataclass(frozen=True)
class _Network:
    """The convolutional part in torchvision's numbering, the layers that count, and a head for each of them."""

    layers: tuple[nn.Module, ...]
    taps: tuple[int, ...]
    heads: tuple[Float[Tensor, "1 _c 1 1"], ...]


def lpips(image: Image, truth: Image, net: Net = "alex") -> float:
    """The distance of two images in [0, 1]; 0 means alike.

    They are mapped to [-1, 1] first, as the authors do. (The graphdeco code leaves that out, so that figures computed
    by it differ a little from these.)

    Raises:
        MissingDependency: the weights are not there; the message says how to get them.
        InputError: a weights file is damaged or is not what its name says.
        ValueError: the sizes differ or are too small for the network.
    """
    if tuple(image.shape) != tuple(truth.shape):
        raise ValueError(f"lpips: images of shapes {tuple(image.shape)} and {tuple(truth.shape)} cannot be compared")
    if min(image.shape[:2]) < MIN_SIDE_PX[net]:
        raise ValueError(f"lpips: {image.shape[1]}x{image.shape[0]} pixels, need at least {MIN_SIDE_PX[net]} a side")
    files = find_weights(net)
    network = _load_network(files, net, (_mtime_ns(files.features), _mtime_ns(files.heads)))
    with torch.no_grad():
        first, second = _features(network, _input(image)), _features(network, _input(truth))
        terms = [((a - b) ** 2 * head).sum(1).mean() for a, b, head in zip(first, second, network.heads, strict=True)]
    return float(sum(term.item() for term in terms))


def lpips_status() -> str:
    """One line for each network: ready and from which files, or what is missing and how to get it."""
    lines = []
    for net in NETS:
        try:
            lines.append(f"lpips {net}: ready, {weights_description(net)}")
        except (MissingDependency, InputError) as error:
            lines.append(f"lpips {net}: not measured: {error}")
    return "\n".join(lines)


def weights_description(net: Net) -> str:
    """Which files the distance is computed with, for the report.

    torchvision writes the beginning of a file's SHA-256 into its name; a file that does not match it is called out.
    """
    files = find_weights(net)
    digest = _sha256(files.features, _mtime_ns(files.features))
    published = digest.startswith(files.features.stem.rsplit("-", 1)[-1])
    note = "as published" if published else "NOT the published file: its contents do not match its name"
    heads = _sha256(files.heads, _mtime_ns(files.heads))
    return (
        f"features {files.features.name} ({note}), heads {files.heads.parent}/{files.heads.name} (sha256 {heads[:8]})"
    )


def find_weights(net: Net) -> WeightFiles:
    """Look for both files in the documented order.

    Raises:
        MissingDependency: one of them is nowhere; the message says where to put it.
    """
    pattern, url = FEATURE_FILES[net]
    folders = [_user_folder(), Path(torch.hub.get_dir()) / "checkpoints"]
    features = next((hit for folder in folders if folder for hit in sorted(folder.glob(pattern))), None)
    if features is None:
        raise MissingDependency(
            f"torchvision's {pattern} is missing; download {url} into {folders[1]} "
            f"or into a folder named by {WEIGHTS_VARIABLE}"
        )
    heads = next((path for path in _head_candidates(net) if path.is_file()), None)
    if heads is None:
        raise MissingDependency(
            f"LPIPS' linear heads {net}.pth are missing; `pip install --no-deps lpips` or "
            f"`pip install torchmetrics` brings them, or put the file into the folder lpips within {WEIGHTS_VARIABLE}"
        )
    return WeightFiles(features, heads)


def _mtime_ns(path: Path) -> int:
    return path.stat().st_mtime_ns


def _user_folder() -> Path | None:
    value = os.environ.get(WEIGHTS_VARIABLE)
    return Path(value).expanduser() if value else None


def _head_candidates(net: Net) -> list[Path]:
    """Where the linear heads may lie; the packages are located, not imported."""
    folder = _user_folder()
    candidates = [folder / "lpips" / f"{net}.pth"] if folder else []
    for package, within in HEADS_WITHIN_PACKAGES:
        spec = importlib.util.find_spec(package)
        candidates += [Path(root) / within / f"{net}.pth" for root in (spec and spec.submodule_search_locations) or ()]
    return candidates


def _layers(net: Net) -> tuple[list[nn.Module], tuple[int, ...]]:
    """The convolutional part without weights, and the layers after which features are taken."""
    if net == "alex":
        plan: list = [(3, 64, 11, 4, 2), "pool", (64, 192, 5, 1, 2), "pool"]
        plan += [(192, 384, 3, 1, 1), (384, 256, 3, 1, 1), (256, 256, 3, 1, 1)]
        pool, taps = nn.MaxPool2d(3, 2), (1, 4, 7, 9, 11)
    else:
        plan, pool, taps, width = [], nn.MaxPool2d(2, 2), (3, 8, 15, 22, 29), 3
        for block, (channels, repeats) in enumerate([(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]):
            plan += ["pool"] if block else []
            for _ in range(repeats):
                plan.append((width, channels, 3, 1, 1))
                width = channels
    layers: list[nn.Module] = []
    for entry in plan:
        layers += [pool] if isinstance(entry, str) else [nn.Conv2d(*entry), nn.ReLU()]
    return layers, taps


@lru_cache(maxsize=2)
def _load_network(files: WeightFiles, net: Net, _stamp: tuple[int, int]) -> _Network:
    """A network with its weights, kept between calls for as long as its files stay the same."""
    layers, taps = _layers(net)
    named = {f"features.{i}.{name}": p for i, layer in enumerate(layers) for name, p in layer.named_parameters()}
    state = _read_state(files.features, {name: tuple(parameter.shape) for name, parameter in named.items()})
    for name, parameter in named.items():
        parameter.requires_grad_(False).copy_(state[name])
    channels = [next(len(p) for p in reversed(list(nn.Sequential(*layers[: tap + 1]).parameters()))) for tap in taps]
    names = {f"lin{i}.model.1.weight": (1, count, 1, 1) for i, count in enumerate(channels)}
    heads = _read_state(files.heads, names)
    return _Network(tuple(layers), taps, tuple(heads[name] for name in names))


def _read_state(path: Path, shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Named float32 tensors of a checkpoint, checked; its other entries are left.

    Raises:
        InputError: the file cannot be read as plain tensors, or lacks one, or one has another shape or is not finite.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged or malicious file provokes: pickle, zip, index and type errors
        raise InputError(f"{path}: not a readable weights file of plain tensors ({type(error).__name__})") from error
    if not isinstance(state, dict):
        raise InputError(f"{path}: found a {type(state).__name__}, expected a dictionary of tensors")
    picked = {}
    for name, shape in shapes.items():
        value = state.get(name)
        if not isinstance(value, Tensor) or value.layout != torch.strided or not value.is_floating_point():
            raise InputError(f"{path}: the tensor {name} is missing")
        if tuple(value.shape) != shape:
            raise InputError(f"{path}: {name} has the shape {tuple(value.shape)}, expected {shape}")
        if not bool(value.isfinite().all()):
            raise InputError(f"{path}: {name} has values that are not finite")
        picked[name] = value.detach().to(torch.float32)
    return picked


def _features(network: _Network, x: Float[Tensor, "1 3 h w"]) -> list[Float[Tensor, "1 _c _h _w"]]:
    """Activations after the tapped layers, each pixel's vector scaled to length one."""
    features = []
    for i, layer in enumerate(network.layers):
        x = layer(x)
        if i in network.taps:
            features.append(x / (x.norm(dim=1, keepdim=True) + NORM_EPS))
    return features


def _input(image: Image) -> Float[Tensor, "1 3 h w"]:
    """The network's input: [-1, 1], shifted and scaled."""
    array = image.detach().cpu().numpy() if isinstance(image, Tensor) else image
    pixels = torch.from_numpy(np.ascontiguousarray(array, np.float32)).permute(2, 0, 1)[None] * 2 - 1
    shift, scale = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (SHIFT, SCALE))
    return (pixels - shift) / scale


@lru_cache(maxsize=8)
def _sha256(path: Path, _stamp: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
