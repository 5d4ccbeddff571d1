"""Every data set that can be loaded, by name."""

from collections.abc import Sequence
from pathlib import Path

from sparse3d.bench.datasets import co3d, dtu, instantsplat, llff, mipnerf360, nerf_synthetic, public, re10k, strecha
from sparse3d.bench.datasets.common import Loader
from sparse3d.bench.scene import BenchScene
from sparse3d.core.errors import InputError

DATASETS: dict[str, Loader] = {
    "public": public.LOADER,
    "llff": llff.LOADER,
    "dtu": dtu.LOADER,
    "mipnerf360": mipnerf360.LOADER,
    "tanks": instantsplat.TANKS,
    "mvimgnet": instantsplat.MVIMGNET,
    "re10k": re10k.LOADER,
    "co3d": co3d.LOADER,
    "nerf_synthetic": nerf_synthetic.LOADER,
    "strecha": strecha.LOADER,
}


def load_dataset(
    name: str, root: Path, scenes: Sequence[str] | None = None, *, protocol: str | None = None
) -> list[BenchScene]:
    """Scenes of a data set under a protocol. Cameras and file names are read, headers of photos, no pixels.

    Args:
        name: a key of `DATASETS`.
        root: the folder that the data set was unpacked to; docs/protocols.md tells its layout.
        scenes: which ones, in this order; None takes all of the protocol's that are there.
        protocol: a heading of docs/protocols.md, which decides on resolution and masks too; None takes the usual one.

    Raises:
        InputError: no such data set, protocol, folder or scene, or its files are malformed; the message says which.
    """
    if name not in DATASETS:
        raise InputError(f"no data set {name!r}: there are {', '.join(DATASETS)}")
    loader = DATASETS[name]
    if protocol is not None and protocol not in loader.protocols:
        raise InputError(f"{name}: no protocol {protocol!r}: there are {', '.join(loader.protocols)}")
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the folder that {name} was unpacked to")
    return loader.read(root, scenes, protocol or loader.protocols[0])
