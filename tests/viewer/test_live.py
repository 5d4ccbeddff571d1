"""The page beside a running optimisation: it never makes the optimisation wait, except when somebody pauses it."""

import threading
import time

import pytest

from sparse3d.optim.progress import Progress, Snapshot, StopTraining

from .test_scene import make_reconstruction

pytest.importorskip("viser", reason="viser is not installed")

from sparse3d_viewer import live
from sparse3d_viewer.held_out import HeldOutSource
from sparse3d_viewer.live import LiveView
from sparse3d_viewer.server import open_server

ITERATIONS = 1000


@pytest.fixture
def view():
    server = open_server("127.0.0.1", 0, title="test")
    shown = LiveView(server)
    yield shown
    shown.stop()
    shown.close()
    server.stop()


def wait_for(condition, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return bool(condition())


def snapshot() -> Snapshot:
    scene = make_reconstruction()
    held = scene.gaussians
    floats = ("means", "quats_wxyz", "log_scales", "logit_opacities", "sh", "confidence")
    return Snapshot(held.replace(**{name: getattr(held, name).float() for name in floats}), scene.cameras)


def at(iteration: int, copy=snapshot) -> Progress:
    return Progress(iteration, ITERATIONS, 0.5, 20.0, 1.0, copy)


def test_what_is_sent_is_the_newest_scene_and_the_figures(view):
    view.progress(at(10))
    assert wait_for(lambda: view._splats is not None), "the first copy is drawn"
    assert len(view._splats.centers) == 200
    view.progress(at(20))
    assert [entry[0] for entry in view.panel.history] == [10, 20]
    assert "Iteration 20 of 1000" in view.panel.status.content and "20.00 dB" in view.panel.status.content
    assert view.panel.bar.value == pytest.approx(2.0)


def test_the_optimisation_does_not_wait_for_a_page_that_is_slow(view, monkeypatch):
    monkeypatch.setattr(live, "SNAPSHOT_EVERY_S", 0.0)
    released, copies = threading.Event(), []
    monkeypatch.setattr(view, "_show", lambda *_: released.wait(20))

    def copy() -> Snapshot:
        copies.append(1)
        return snapshot()

    started = time.monotonic()
    for iteration in range(1, 101):
        view.progress(at(iteration, copy))
    took = time.monotonic() - started
    released.set()
    assert len(copies) == 1, "nothing more is copied until the page has sent the first"
    assert took < 2.0


def test_copies_are_made_no_faster_than_people_look(view, monkeypatch):
    monkeypatch.setattr(view, "_show", lambda *_: None)
    copies = []

    def copy() -> Snapshot:
        copies.append(1)
        return snapshot()

    for iteration in range(1, 31):
        view.progress(at(iteration, copy))
        time.sleep(0.005)
    assert len(copies) <= 2


def test_a_page_that_fails_leaves_the_run_alone(view, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("no page")

    monkeypatch.setattr(view, "_show", fail)
    view.progress(at(10))
    assert wait_for(lambda: "could not show the run" in caplog.text)
    view.progress(at(20))


def test_pause_holds_the_optimisation_until_it_may_go_on(view):
    view.pause()
    assert view.panel.pause.label == "Go on"
    passed = threading.Event()
    waiting = threading.Thread(target=lambda: (view.progress(at(10)), passed.set()), daemon=True)
    waiting.start()
    assert not passed.wait(0.6)
    view.pause()
    assert passed.wait(5) and view.panel.pause.label == "Pause"


@pytest.mark.parametrize("paused", [False, True])
def test_stop_ends_the_optimisation_at_its_next_report(view, paused):
    if paused:
        view.pause()
    view.stop()
    with pytest.raises(StopTraining):
        view.progress(at(10))
    assert view.panel.stop.disabled


def test_stages_and_warnings_are_escaped_and_without_folders(view):
    view.stage("photos", "3 photos of /home/somebody/holiday")
    view.warning("<b>a.jpg</b> is blurred")
    content = view.panel.stages.content
    assert "somebody" not in content and "<b>a.jpg" not in content and "3 photos" in content


def test_the_live_page_listens_on_this_machine_alone():
    from sparse3d.cli.live import live_page

    with live_page(True, 0) as page:
        assert page is not None and page.server.get_host() == "127.0.0.1"
    with live_page(False, 0) as page:
        assert page is None


@pytest.mark.parametrize("given", [True, False])
def test_the_command_holds_out_what_is_neither_chosen_nor_without_a_camera(given, tmp_path, monkeypatch):
    from contextlib import contextmanager

    from sparse3d.cli import live as live_command
    from sparse3d.cli.reconstruct import reconstruct
    from sparse3d.core.errors import InputError
    from sparse3d.pipeline import reconstruct as pipeline

    pages = []

    @contextmanager
    def kept_page(wanted, port, title, opened=live_command.live_page):
        assert title == "run"
        with opened(wanted, port, title) as page:
            pages.append(page)
            yield page

    def stop(*_args, **_options):
        raise InputError("far enough")

    monkeypatch.setattr(live_command, "live_page", kept_page)
    monkeypatch.setattr(pipeline, "reconstruct", stop)
    known = {"cameras": tmp_path / "cameras.json"} if given else {}
    with pytest.raises(InputError, match="far enough"):
        reconstruct(tmp_path, out=tmp_path / "run", images=("a.jpg", "b.jpg"), view=True, port=0, **known)
    expected = HeldOutSource(tmp_path, tmp_path / "cameras.json", ("a.jpg", "b.jpg")) if given else None
    assert pages[0].view._source == expected
