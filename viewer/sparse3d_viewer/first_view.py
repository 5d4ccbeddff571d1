"""What whoever opens a page sees first."""

from sparse3d_viewer.dependency import viser
from sparse3d_viewer.scene import DisplayScene

FAR_PLANE = 5000.0
"""In display units; a scene is a few units wide, its sky may be a thousand away."""


def set_first_view(server: viser.ViserServer, scene: DisplayScene) -> None:
    """Up is the scene's; the first view is the first photo's, upright as it was taken."""
    server.scene.set_up_direction(scene.up)
    server.initial_camera.far = FAR_PLANE
    if scene.viewpoints:
        first = scene.viewpoints[0]
        server.initial_camera.up = first.up
        server.initial_camera.position = first.position
        server.initial_camera.look_at = first.target
        server.initial_camera.fov = first.fov_y_rad
