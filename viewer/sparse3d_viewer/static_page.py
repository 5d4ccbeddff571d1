"""A run as one HTML file that opens without a server: viser's own page with the scene inside."""

from html import escape

from sparse3d.core.reconstruction import Reconstruction
from sparse3d_viewer.first_view import set_first_view
from sparse3d_viewer.run import LoadedRun
from sparse3d_viewer.scene import DisplayScene, build_scene
from sparse3d_viewer.server import open_server
from sparse3d_viewer.visitor import FRUSTUM_COLOUR

MAX_GAUSSIANS = 400_000
"""Beyond so many the page would pass 25 MB; the most visible are kept (32 bytes each before compression)."""

FRUSTUM_SHARE = 0.4
"""Cameras are drawn smaller than in the viewer, which hides those that stand in the eye's way; this page cannot."""

SORT_FROM_DISK = """<script>{const Plain=window.Worker;if(location.protocol==="file:")window.Worker=class extends Plain{
constructor(url,options){if(String(url).startsWith("blob:"))throw new Error("blob");super(url,options)}}}</script>"""
"""viser sorts the splats in a worker that it starts from a blob, which Chromium refuses to a page from the disk, so that near
splats would not hide far ones; where that throws, viser takes a `data:` address instead, which is allowed."""


def static_page(run: LoadedRun) -> str:
    """The page: splats and cameras with their photos, seen from the first photo, whose own camera would cover the view.

    It is a document of its own: nothing is loaded from elsewhere and nothing is sent.
    """
    scene = build_scene(strongest(run.reconstruction, MAX_GAUSSIANS))
    server = open_server("127.0.0.1", 0, title=run.title)
    try:
        set_first_view(server, scene)
        _fill(server.scene, scene, run)
        page = server.scene.as_html()
    finally:
        server.stop()
    return page.replace("<title>Viser</title>", f"<title>{escape(run.title)}</title>{SORT_FROM_DISK}", 1)


def strongest(reconstruction: Reconstruction, count: int) -> Reconstruction:
    """The reconstruction with at most so many Gaussians, those of the largest opacity times area."""
    gaussians = reconstruction.gaussians
    if len(gaussians) <= count:
        return reconstruction
    scales = gaussians.log_scales.exp().sort(dim=1, descending=True).values
    weight = gaussians.logit_opacities.sigmoid() * scales[:, 0] * scales[:, 1]
    kept = weight.nan_to_num(0.0).topk(count).indices.sort().values
    return reconstruction.replace(gaussians=gaussians.select(kept))


def _fill(target, scene: DisplayScene, run: LoadedRun) -> None:
    target.add_gaussian_splats("/splats", scene.centres, scene.covariances, scene.colours, scene.opacities)
    size = FRUSTUM_SHARE * scene.frustum_size
    for index, viewpoint in enumerate(scene.viewpoints[1:], 1):
        target.add_camera_frustum(
            f"/cameras/{index:03d}",
            fov=viewpoint.fov_y_rad,
            aspect=viewpoint.aspect,
            scale=size,
            thickness=0.03 * size,
            color=FRUSTUM_COLOUR,
            image=run.thumbnails.get(viewpoint.name),
            jpeg_quality=80,
            wxyz=viewpoint.wxyz,
            position=viewpoint.position,
            cast_shadow=False,
            receive_shadow=False,
        )
