import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

from toy import toy_cameras, toy_params, toy_prior  # noqa: E402


@pytest.fixture
def scene(generator):
    """Gaussians, and a perfect prior of what they show."""
    params = toy_params(generator)
    return params, toy_prior(params, toy_cameras())
