"""`sparse3d render`."""

from pathlib import Path

import tyro


def render(run: tyro.conf.Positional[Path], *, cameras: Path, out: Path, threads: int = 0) -> None:
    """Render a run at given cameras: one PNG a camera, in the file's own names and sizes, with its distortion.

    Args:
        run: a folder that `sparse3d reconstruct` wrote.
        cameras: cameras.json, in the run's world frame.
        out: folder for the pictures.
        threads: of the native kernels; 0 takes all cores.
    """
    from sparse3d.core.errors import InputError
    from sparse3d.eval.render_views import check_size, render_camera
    from sparse3d.io.atomic import make_folder
    from sparse3d.io.cameras_json import read_cameras_json
    from sparse3d.io.image_files import write_png
    from sparse3d.io.run_folder import read_reconstruction
    from sparse3d.pipeline.config import checked_threads
    from sparse3d.render.rasterise import RenderOptions

    options = RenderOptions(threads=checked_threads(threads) or None)
    wanted = read_cameras_json(cameras)
    targets = [_inside(out, name) for name in wanted.names]
    unknown = [
        n
        for n, pose, K in zip(wanted.names, wanted.cam_from_world, wanted.K, strict=True)
        if not (pose.isfinite().all() and K.isfinite().all())
    ]
    if unknown:
        raise InputError(f"{cameras}: {unknown[0]} has no pose or no intrinsics: a rendering needs both")
    if len(set(targets)) < len(targets):
        raise InputError(
            f"{cameras}: two cameras would write the same picture: give their `file` entries different names"
        )
    for index in range(len(wanted)):
        check_size(wanted.select([index]))
    reconstruction = read_reconstruction(run)
    for folder in {target.parent for target in targets}:
        make_folder(folder)
    for index, target in enumerate(targets):
        [view] = render_camera(reconstruction, wanted.select([index]), options)
        write_png(target, view.rgb)
        print(target)


def _inside(out: Path, name: str) -> Path:
    """The picture's path; a name that would leave the folder is refused."""
    from sparse3d.core.errors import InputError

    target = (out / name).with_suffix(".png")
    if not target.resolve().is_relative_to(out.resolve()):
        raise InputError(f"the camera {name!r} would be written outside {out}: use a plain file name")
    return target
