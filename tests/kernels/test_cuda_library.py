"""Finding the library for GPUs, and saying so where there is none, or no GPU."""

import pytest
import torch

from sparse3d.kernels import cuda_library
from sparse3d.kernels.cuda_patchmatch import require_gpu
from sparse3d.kernels.library import KernelUnavailable
from sparse3d.render.rasterise import RenderOptions, choose_backend


@pytest.fixture
def forgotten():
    cuda_library.load_library.cache_clear()
    yield
    cuda_library.load_library.cache_clear()


def test_a_missing_library_is_named(forgotten, monkeypatch):
    monkeypatch.setenv(cuda_library.LIBRARY_VARIABLE, "/nowhere/libsparse3d_cuda.so")
    with pytest.raises(KernelUnavailable, match="nvcc"):
        cuda_library.load_library()
    assert not cuda_library.is_available()


def test_something_else_than_the_library_is_refused(forgotten, monkeypatch, tmp_path):
    wrong = tmp_path / "libsparse3d_cuda.so"
    wrong.write_bytes(b"not a library")
    monkeypatch.setenv(cuda_library.LIBRARY_VARIABLE, str(wrong))
    with pytest.raises(KernelUnavailable, match="does not load"):
        cuda_library.load_library()


def test_tensors_on_a_gpu_are_drawn_there():
    assert choose_backend("auto", "cuda") == "cuda"
    assert choose_backend("auto", torch.device("cuda", 1)) == "cuda"
    assert RenderOptions(backend="cuda").backend == "cuda"


def test_without_a_gpu_the_answer_is_clean():
    """The library loads wherever it was built."""
    if not cuda_library.is_available():
        pytest.skip("the kernels for GPUs were not built: no nvcc")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert cuda_library.tensor_device() == "cuda"
    with pytest.raises(KernelUnavailable, match=r"NVIDIA driver.*CUDA error"):
        cuda_library.device_count()
    with pytest.raises(KernelUnavailable):
        cuda_library.device_info(0)
    with pytest.raises(KernelUnavailable):
        require_gpu()
