"""`sparse3d evaluate`."""

from pathlib import Path

import tyro


def evaluate(
    run: tyro.conf.Positional[Path],
    *,
    truth: Path,
    images: Path | None = None,
    max_held_out: int | None = None,
    refine: bool = True,
    lpips_weights: Path | None = None,
    threads: int = 0,
) -> None:
    """Measure a run against true cameras and photos that it was not given.

    Prints pose errors and, for held-out photos, PSNR, SSIM and LPIPS at the aligned true poses, without and with
    refinement of the test pose; writes everything to RUN/evaluation.json.

    Args:
        run: a folder that `sparse3d reconstruct` wrote.
        truth: cameras.json with true cameras, of the run's photos and of held-out ones.
        images: folder of the truth's photos; the default is where the truth's `file` entries point.
        max_held_out: take at most so many held-out photos, evenly spread.
        refine: measure at refined test poses too.
        lpips_weights: folder with the networks' weights; the environment variable SPARSE3D_WEIGHTS does the same.
        threads: of the native kernels; 0 takes all cores.
    """
    import json
    import os

    from rich.console import Console

    from sparse3d.core.errors import InputError
    from sparse3d.eval.evaluate import EvaluateConfig
    from sparse3d.eval.evaluate import evaluate as measure
    from sparse3d.eval.refine_pose import RefineConfig
    from sparse3d.io.atomic import atomic_write_text
    from sparse3d.io.cameras_json import read_cameras_json
    from sparse3d.io.run_folder import RunFolder, read_reconstruction
    from sparse3d.pipeline.config import checked_threads
    from sparse3d.render.rasterise import RenderOptions

    options = RenderOptions(threads=checked_threads(threads) or None)
    for folder in (images, lpips_weights):
        if folder is not None and not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
    if max_held_out is not None and max_held_out < 0:
        raise InputError(f"--max-held-out is {max_held_out}, expected 0 or more")
    if lpips_weights is not None:
        os.environ["SPARSE3D_WEIGHTS"] = str(lpips_weights)
    reconstruction = read_reconstruction(run)
    config = EvaluateConfig(
        refine=RefineConfig() if refine else None,
        max_held_out=max_held_out,
        options=options,
    )
    console = Console(stderr=True)
    with console.status("measuring") as status:
        result = measure(
            reconstruction, read_cameras_json(truth), _photo_reader(truth, images), config, on_progress=status.update
        )
    target = RunFolder(run).evaluation
    document = result.to_json()
    atomic_write_text(target, json.dumps(document, indent=1))
    _print_summary(document)
    print(f"\neverything: {target}")


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


def _print_summary(document: dict) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    poses = document["poses"]
    if poses is None:
        console.print(f"cameras: {document['poses_reason']}", markup=False)
    else:
        console.print(
            f"cameras: {poses['views']} compared; ATE {poses['ate_relative']:.4f} of their extent; rotation error "
            f"{poses['rotation_deg_median']:.3f} deg median, {poses['rotation_deg_max']:.3f} max; RPE "
            f"{poses['rpe_rotation_deg']:.3f} deg, {poses['rpe_translation']:.4g}; AUC "
            + ", ".join(f"@{k} {v:.3f}" for k, v in poses["auc"].items())
        )
    table = Table("photos", "n", "PSNR", "lowest", "SSIM", "LPIPS alex", "LPIPS vgg")
    rows = (
        ("held out, aligned pose", document["held_out"]["aligned"]),
        ("held out, refined pose", document["held_out"]["refined"]),
        ("training", document["training"]["mean"]),
    )
    for label, row in rows:
        if row is not None:
            figures = [f"{row['psnr']:.2f}", f"{row['psnr_min']:.2f}", f"{row['ssim']:.4f}"]
            figures += [_or_dash(row.get(f"lpips_{net}")) for net in ("alex", "vgg")]
            table.add_row(label, str(row["views"]), *figures)
    console.print(table)
    for reason in filter(None, (document["held_out"]["reason"],)):
        console.print(f"held out: {reason}", markup=False)
    for net, note in document["lpips"].items():
        if note.startswith("not measured"):
            console.print(f"LPIPS {net}: {note}", markup=False)


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
