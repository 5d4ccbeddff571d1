"""Finding the library, and saying so when there is none."""

import pytest

from sparse3d.kernels import library
from sparse3d.render import rasterise as render


@pytest.fixture
def forgotten():
    caches = (library.load_library, render._automatic_backend)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


def test_a_missing_library_is_named_and_never_replaced_silently(forgotten, monkeypatch, caplog):
    monkeypatch.setenv(library.LIBRARY_VARIABLE, "/nowhere/libsparse3d_cpu.so")
    with pytest.raises(library.KernelUnavailable, match="pip install"):
        render.choose_backend("cpu")
    assert render.choose_backend("auto") == "reference"
    assert render.choose_backend("auto") == "reference"
    assert sum("reference" in record.message for record in caplog.records) == 1


def test_something_else_than_the_library_is_refused(forgotten, monkeypatch, tmp_path):
    wrong = tmp_path / "libsparse3d_cpu.so"
    wrong.write_bytes(b"not a library")
    monkeypatch.setenv(library.LIBRARY_VARIABLE, str(wrong))
    with pytest.raises(library.KernelUnavailable, match="does not load"):
        library.load_library()


def test_auto_takes_the_library():
    assert render.choose_backend("auto") == "cpu"
    assert library.instruction_set() in ("avx512", "avx2", "sse42", "generic")


def test_auto_follows_the_gaussians_to_a_gpu():
    assert render.choose_backend("auto", "cuda") == "cuda"
