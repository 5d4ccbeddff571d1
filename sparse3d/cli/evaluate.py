"""`sparse3d evaluate`."""

from pathlib import Path

import tyro


def evaluate(
    run: tyro.conf.Positional[Path],
    *,
    truth: Path | None = None,
    photos: Path | None = None,
    images: Path | None = None,
    masks: Path | None = None,
    surface: Path | None = None,
    max_held_out: int | None = None,
    refine: bool = True,
    lpips_weights: Path | None = None,
    threads: int = 0,
) -> None:
    """Measure a run on photos that it has not seen: held-out ones with true cameras, or its own, each left out in turn.

    With --truth: pose errors and, for the held-out photos, PSNR, SSIM and LPIPS at the aligned true poses, without and with
    refinement of the test pose; depth where the truth has some. Without: every photo is left out once, the scene is made
    again from the others, and rendered where that photo was taken; this takes as long as as many runs, and goes on where
    it was stopped. The colour errors that the run expects are calibrated by it, as a layer for the viewer. Both tell the part of
    each photo that the run's photos cover apart. Writes everything to RUN/evaluation.json.

    Args:
        run: a folder that `sparse3d reconstruct` wrote.
        truth: cameras.json with true cameras, of the run's photos and of held-out ones.
        photos: without --truth: the folder of photos that the run was made from.
        images: with --truth: folder of the truth's photos; the default is where the truth's `file` entries point.
        masks: folder with an image for each photo (same name without the suffix) that is not black where the object is.
        surface: with --truth: PLY file of the true surface, points or a mesh, in the world of the true cameras.
        max_held_out: take at most so many held-out photos, evenly spread.
        refine: measure at refined test poses too.
        lpips_weights: folder with the networks' weights; the environment variable SPARSE3D_WEIGHTS does the same.
        threads: of the native kernels; 0 takes all cores.
    """
    import json
    import os

    from sparse3d.cli.evaluation_tables import print_evaluation
    from sparse3d.core.errors import InputError
    from sparse3d.eval.config import EvaluateConfig
    from sparse3d.eval.refine_pose import RefineConfig
    from sparse3d.io.atomic import atomic_write_text
    from sparse3d.io.run_folder import RunFolder
    from sparse3d.pipeline.config import checked_threads
    from sparse3d.render.rasterise import RenderOptions

    options = RenderOptions(threads=checked_threads(threads) or None)
    for folder in (photos, images, masks, lpips_weights):
        if folder is not None and not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
    if max_held_out is not None and max_held_out < 0:
        raise InputError(f"--max-held-out is {max_held_out}, expected 0 or more")
    if lpips_weights is not None:
        os.environ["SPARSE3D_WEIGHTS"] = str(lpips_weights)
    RunFolder.open(run)
    config = EvaluateConfig(refine=RefineConfig() if refine else None, max_held_out=max_held_out, options=options)
    if truth is None:
        if images is not None or surface is not None:
            raise InputError("--images and --surface belong to true cameras: give them with --truth")
        if photos is None:
            raise InputError(
                f"{run}: a run does not know where its photos are: give their folder with --photos to leave each of them out "
                "in turn, or true cameras with --truth"
            )
        result = _left_out(run, photos, masks, config)
    else:
        if photos is not None:
            raise InputError(
                "--photos is for an evaluation without --truth; the truth's photos are given with --images"
            )
        result = _against_truth(run, truth, images, masks, surface, config)
    document = result.to_json()
    target = RunFolder(run).evaluation
    atomic_write_text(target, json.dumps(document, indent=1))
    print_evaluation(document)
    print(f"\neverything: {target}")


def _left_out(run: Path, photos: Path, masks: Path | None, config):
    """Without truth: each photo left out in turn. A polite kill is Ctrl-C, as for `reconstruct`."""
    import signal

    from sparse3d.cli.console import Console
    from sparse3d.eval.config import FurtherTruth
    from sparse3d.pipeline.leave_one_out import leave_one_out

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Console() as console:
            further = FurtherTruth(read_mask=_mask_reader(masks))
            return leave_one_out(run, photos, config, further=further, listener=console, on_progress=console.say)
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)


def _against_truth(run: Path, truth: Path, images: Path | None, masks: Path | None, surface: Path | None, config):
    """Against true cameras, and whatever else of the truth is there."""
    from rich.console import Console

    from sparse3d.eval.config import FurtherTruth
    from sparse3d.eval.evaluate import evaluate as measure
    from sparse3d.eval.true_surface import surface_points
    from sparse3d.io.cameras_json import read_cameras_json, true_depth_files
    from sparse3d.io.depth_files import read_depth_mm
    from sparse3d.io.run_folder import read_reconstruction

    reconstruction, cameras = read_reconstruction(run), read_cameras_json(truth)
    depth = true_depth_files(truth)
    further = FurtherTruth(
        read_mask=_mask_reader(masks),
        read_depth=lambda name: read_depth_mm(depth[name]) if name in depth else None,
        surface=None if surface is None else surface_points(surface),
    )
    with Console(stderr=True).status("measuring") as status:
        return measure(
            reconstruction, cameras, _photo_reader(truth, images), config, further=further, on_progress=status.update
        )


def _photo_reader(truth: Path, images: Path | None):
    """How to find the photo of a name: in the folder given, else where the truth says, else beside it."""
    from sparse3d.core.errors import InputError
    from sparse3d.io.image_files import read_image

    def read(name: str):
        places = (
            [truth.parent / name, truth.parent / "images" / name]
            if images is None
            else [images / name, images / Path(name).name]
        )
        for place in places:
            if place.is_file():
                return read_image(place)
        raise InputError(f"{places[0]}: no such photo; give the folder that holds it with --images")

    return read


def _mask_reader(folder: Path | None):
    """How to find the mask of a name; None where no folder was given."""
    from sparse3d.core.errors import InputError
    from sparse3d.io.image_files import read_mask
    from sparse3d.io.photos import find_masks

    if folder is None:
        return None
    files = find_masks(folder)
    if not files:
        raise InputError(f"{folder}: holds no images to use as masks")

    def read(name: str):
        file = files.get(Path(name).stem) or files.get(Path(name).name)
        return None if file is None else read_mask(file)

    return read
