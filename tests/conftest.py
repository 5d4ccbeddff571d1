"""Shape and type checking of every public function, in tests alone: it would cost time in production."""

from jaxtyping import install_import_hook

import sparse3d  # noqa: F401  sets up threads, before torch is imported

# Before anything imports sparse3d: the hook rewrites modules as they are loaded.
install_import_hook("sparse3d", "beartype.beartype")

import pytest  # noqa: E402
import torch  # noqa: E402


@pytest.fixture(autouse=True)
def _two_threads():
    """Tests share small machines."""
    torch.set_num_threads(2)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
