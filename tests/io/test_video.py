"""Films."""

import cv2
import numpy as np

from sparse3d.io.video import write_mp4


def test_a_film_is_an_mp4_with_all_its_frames(tmp_path):
    content = write_mp4((np.full((48, 64, 3), 20 * i, np.uint8) for i in range(5)), (64, 48), 24)
    assert content[4:8] == b"ftyp"
    (tmp_path / "film.mp4").write_bytes(content)
    film = cv2.VideoCapture(str(tmp_path / "film.mp4"))
    frames = []
    while (found := film.read())[0]:
        frames.append(found[1])
    assert len(frames) == 5 and frames[0].shape == (48, 64, 3)
    assert abs(float(frames[4].mean()) - 80) < 5
