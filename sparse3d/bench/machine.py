"""The machine and the source that figures come from."""

import datetime
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

CHECKOUT = Path(__file__).resolve().parents[2]
"""The source checkout, where the package is run from one."""


def machine() -> dict[str, Any]:
    """Hardware, versions, date, and the commit (marked when kernels, package or benchmarks differ from it)."""
    git = ["git", "-C", str(CHECKOUT)]
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    status = [*git, "status", "--porcelain", "--", "benchmarks", "cuda", "sparse3d", ":!benchmarks/results"]
    changed = subprocess.run(status, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "load": os.getloadavg()[0],
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit + (" (changed)" if changed else ""),
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), platform.processor())
