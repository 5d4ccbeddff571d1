"""Without viser the viewer says what to install."""

import builtins
import sys

import pytest

from sparse3d.core.errors import MissingDependency


def test_missing_viser_is_named_with_the_remedy(monkeypatch):
    real_import = builtins.__import__

    def refuse(name: str, *args, **kwargs):
        if name.split(".")[0] == "viser":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    for module in [m for m in sys.modules if m.split(".")[0] in ("viser", "sparse3d_viewer")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingDependency, match=r"pip install 'sparse3d\[viewer\]'"):
        import sparse3d_viewer  # noqa: F401
