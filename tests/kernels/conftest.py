import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "render"))


@pytest.fixture(autouse=True)
def _kernels_are_there():
    from sparse3d.kernels.library import KernelUnavailable, load_library

    try:
        load_library()
    except KernelUnavailable as error:
        pytest.skip(f"{error}")
