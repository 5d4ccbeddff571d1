"""A run on the page: its scene, and what is made from it when it is first asked for."""

import threading
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sparse3d.core.reconstruction import Reconstruction
from sparse3d_viewer.frame import DisplayFrame
from sparse3d_viewer.layers import ERROR, RECOLOURED, gaussian_errors, scale_of, values_of
from sparse3d_viewer.photos import PhotoPair, read_pair
from sparse3d_viewer.run import LoadedRun
from sparse3d_viewer.scales import Scale
from sparse3d_viewer.scene import DisplayScene, build_scene
from sparse3d_viewer.viewpoint import Viewpoint, distance_seen, viewpoint_of


class ShownRun:
    """One run, in the page's display frame.

    Attributes:
        loaded: what the run folder gave.
        scene: what is drawn of it.
        places: where the next photos should be taken, named +1, +2 and so on, the best one first.
        aligned: whether it stands where the page's first run stands; False where the two have too few photos in common.
    """

    def __init__(self, loaded: LoadedRun, frame: DisplayFrame | None = None, *, aligned: bool = True) -> None:
        self.loaded = loaded
        self.aligned = aligned
        self.scene: DisplayScene = build_scene(loaded.reconstruction, loaded.points, frame)
        self.places = _places(loaded, self.scene)
        self._pairs: dict[str, PhotoPair | None] = {}
        self._figures: dict[str, NDArray[np.float32]] = {}
        self._lock = threading.Lock()

    @property
    def recolours(self) -> tuple[str, ...]:
        """Names of the layers that recolour the splats: those of every run, then those that the run folder holds."""
        return (*RECOLOURED, *self.loaded.layers)

    @property
    def mesh(self) -> Path | None:
        """The run's mesh; None where it has none."""
        folder = self.loaded.folder
        return folder.mesh if folder is not None and folder.mesh.is_file() else None

    def pair(self, name: str) -> PhotoPair | None:
        """A photo with its rendering; None where the run kept none."""
        with self._lock:
            return self._pair(name)

    def figures(self, layer: str) -> NDArray[np.float32]:
        """A layer's figures of the scene's splats (n); the layer is one of `recolours`."""
        with self._lock:
            if layer not in self._figures:
                self._figures[layer] = self._values(layer)[self.scene.kept]
            return self._figures[layer]

    def scale(self, layer: str) -> Scale:
        """The range of a layer's figures; the layer is one of `recolours`."""
        # The error's range is fixed, and its figures take seconds.
        return scale_of(layer, np.empty(0) if layer == ERROR else self.figures(layer))

    def within(self, shown: NDArray[np.bool_]) -> Reconstruction:
        """The reconstruction with those of the scene's splats only that a mask (n) names."""
        gaussians = self.loaded.reconstruction.gaussians
        kept = torch.from_numpy(self.scene.kept[shown]).to(gaussians.means.device)
        return self.loaded.reconstruction.replace(gaussians=gaussians.select(kept))

    def _pair(self, name: str) -> PhotoPair | None:
        folder, reconstruction = self.loaded.folder, self.loaded.reconstruction
        if folder is None or name not in reconstruction.cameras.names:
            return None
        if name not in self._pairs:
            self._pairs[name] = read_pair(folder, reconstruction, name)
        return self._pairs[name]

    def _values(self, layer: str) -> NDArray[np.float32]:
        if layer in self.loaded.layers:
            return self.loaded.layers[layer]
        if layer != ERROR:
            return values_of(self.loaded.reconstruction, layer)
        pairs = {v.name: pair for v in self.scene.viewpoints if (pair := self._pair(v.name)) is not None}
        return gaussian_errors(self.loaded.reconstruction, pairs)


def run_labels(runs: tuple[ShownRun, ...]) -> list[str]:
    """What the runs are called on the page: their folders' names, numbered so that they differ."""
    names = [run.loaded.title for run in runs]
    return names if len(set(names)) == len(names) else [f"{i + 1}. {name}" for i, name in enumerate(names)]


def _places(loaded: LoadedRun, scene: DisplayScene) -> tuple[Viewpoint, ...]:
    """The recommended places in display units."""
    gaussians = loaded.reconstruction.gaussians.activate()
    means, opacities = gaussians.means.detach().cpu().double(), gaussians.opacities.detach().cpu()
    places = []
    for i, place in enumerate(loaded.coverage.next_photos if loaded.coverage else (), 1):
        camera = place.camera.to(torch.float64).replace(names=(f"+{i}",))
        places.append(viewpoint_of(camera, 0, scene.frame, distance_seen(camera, 0, means, opacities)))
    return tuple(places)
