import sys
from pathlib import Path

import pytest
import torch

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS / "kernels"), str(TESTS / "render")]


@pytest.fixture(autouse=True)
def _a_gpu_is_there():
    if not torch.cuda.is_available():
        pytest.skip("no GPU that torch can use")
