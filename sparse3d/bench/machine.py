"""The machine and the source that figures come from."""

import datetime
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import torch

CHECKOUT = Path(__file__).resolve().parents[2]
"""The source checkout, where the package is run from one."""


def machine() -> dict[str, Any]:
    """Hardware, versions, date, and the commit (marked when kernels, package or benchmarks differ from it)."""
    changed = _git("status", "--porcelain", "--", "benchmarks", "cuda", "sparse3d", ":!benchmarks/results")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "load": os.getloadavg()[0],
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "HEAD") + (" (changed)" if changed else ""),
    }


def _git(*arguments: str) -> str:
    """What git says of the checkout; nothing where there is no git or no checkout."""
    if shutil.which("git") is None:
        return ""
    command = ["git", "-C", str(CHECKOUT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), platform.processor())
