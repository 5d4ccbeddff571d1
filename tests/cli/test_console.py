"""The terminal's progress bar over several runs in a row, as leaving one photo out after the other makes them."""

from sparse3d.cli.console import Console
from sparse3d.optim.progress import Progress


def step(iteration, done):
    return Progress(iteration=iteration, iterations=done, loss=0.1, psnr=20.0, seconds=1.0)


def test_a_second_optimisation_starts_its_own_bar():
    with Console() as console:
        for _ in range(2):
            console.progress(step(5, 10))
            assert len(console.bar.tasks) == 1 and console.bar.tasks[0].completed == 5
            console.progress(step(10, 10))
            assert console.bar.tasks == [] and not console.bar.live.is_started
