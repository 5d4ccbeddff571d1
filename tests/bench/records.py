"""Made-up results for the tests of tables and page."""

MACHINE = {
    "processor": "Test 3000",
    "cores": 2,
    "gpu": None,
    "load": 0.1,
    "torch": "2.0",
    "python": "3.11",
    "date": "2026-01-02T03:04:05+00:00",
    "commit": "abc123",
}


def record(method: str = "ours", scene: str = "fern", seed: int = 0, psnr: float = 20.0, **changes) -> dict:
    """A job that is done."""
    views = changes.get("views", 3)
    made = {
        "key": f"{method}-{scene}-{views}-{changes.get('poses', 'posed')}-{seed}",
        "dataset": "llff",
        "scene": scene,
        "protocol": "llff-8",
        "split": str(views),
        "views": views,
        "poses": "posed",
        "method": method,
        "seed": seed,
        "status": "done",
        "reason": None,
        "figures": {
            "held_out.aligned.psnr": psnr,
            "held_out.aligned.ssim": 0.7,
            "held_out.aligned.views": 4,
            "held_out.refined.psnr": psnr + 1,
            "poses.ate_relative": 0.0123,
            "held_out.covered.psnr": psnr + 2,
        },
        "lpips": {"vgg": "not measured: no weights"},
        "scoring": {"psnr": "mean over the views"},
        "placed": views,
        "unplaced": {},
        "settings": {"optim": {"passes": 40}},
        "history": [{"iteration": 10, "loss": 0.3, "psnr": 15.0}, {"iteration": 20, "loss": 0.2, "psnr": 18.0}],
        "pictures": [],
        "timings": {"seconds": 10.0, "cpu_seconds": 15.0, "peak_gib": 0.5, "scoring_seconds": 3.0, "stages_s": {}},
        "machine": MACHINE,
    }
    return made | changes


def failure(method: str, scene: str = "fern", seed: int = 0, reason: str = "it broke", **changes) -> dict:
    """A job that failed."""
    whole = record(method, scene, seed, **changes)
    names = ("key", "dataset", "scene", "protocol", "split", "views", "poses", "method", "seed", "machine")
    return {name: whole[name] for name in names} | {"status": changes.get("status", "failed"), "reason": reason}
