"""`sparse3d doctor --benchmark`: this machine's figures, and what they mean for a reconstruction."""

PHOTOS = 6
"""What the estimate is given for."""


def print_benchmark() -> None:
    """Time rasteriser and loss for some seconds and print what was found."""
    import torch

    from sparse3d.kernels.library import KernelUnavailable
    from sparse3d.render.benchmark import COUNT, HEIGHT, WIDTH, MachineFigures, measure_machine

    threads = sorted({1, torch.get_num_threads()})
    print(f"\nSpeed: {COUNT} Gaussians, {WIDTH}x{HEIGHT}, RGB, forward and backward with gradients to the poses")
    try:
        figures: MachineFigures = measure_machine(threads)
    except KernelUnavailable as error:
        print(f"  not measured: {error}")
        return
    for name, value in _lines(figures):
        print(f"  {name:24} {value}")
    iterations, seconds = _optimisation(figures, threads[-1])
    print(
        f"\n  The preset 'default' takes {iterations} such steps for {PHOTOS} photos: about {seconds:.0f} s of optimisation with\n"
        f"  {COUNT} Gaussians, in proportion more with more of them or more photos. Finding cameras and depth\n"
        "  comes on top and often takes longer. Other programs that run at the same time make all of this slower."
    )


def _lines(figures) -> list[tuple[str, str]]:
    """Name and value of each figure."""
    threads = list(figures.rasteriser)
    lines = [("instruction set", figures.instruction_set)]
    for t, timing in figures.rasteriser.items():
        times = (
            f"{timing.wall_ms:.1f} ms (forward {timing.forward_wall_ms:.1f}, backward {timing.backward_wall_ms:.1f})"
        )
        if t > 1:
            times += f", {figures.rasteriser[1].wall_ms / timing.wall_ms:.2f} times as fast as one"
        lines.append((f"rasteriser, {t} thread{'s' * (t > 1)}", times))
    for t, timing in figures.loss.items():
        lines.append((f"L1 + SSIM, {t} thread{'s' * (t > 1)}", f"{timing.wall_ms:.1f} ms"))
    pairs = f"{figures.ns_per_pair(threads[0]):.1f} ns ({figures.pairs / 1e6:.2f} million are blended)"
    lines.append(("one pixel of a Gaussian", pairs))
    share = f"{100 * figures.share_of_peak():.0f} % of the {figures.peak / 1e9:.0f} G/s that a matrix product reaches"
    lines.append(("multiply-adds, one core", share))
    lines.append(("working memory", f"{figures.working_bytes / 2**20:.0f} MiB"))
    return lines


def _optimisation(figures, threads: int) -> tuple[int, float]:
    """Iterations of the default preset for `PHOTOS` photos, and the seconds that they take."""
    from sparse3d.optim.config import OptimConfig

    iterations = OptimConfig().steps(PHOTOS)
    one = figures.rasteriser[threads].wall_ms + figures.loss[threads].wall_ms
    return iterations, 1e-3 * iterations * one
