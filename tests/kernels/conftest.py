import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "render")]


@pytest.fixture(autouse=True)
def _kernels_are_there():
    from sparse3d.kernels.library import KernelUnavailable, load_library

    try:
        load_library()
    except KernelUnavailable as error:
        pytest.skip(f"{error}")
