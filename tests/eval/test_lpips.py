"""LPIPS with made-up weights in the real file formats, against a computation that shares no code with it."""

import pickle

import numpy as np
import pytest
import torch
from torch.nn import functional

from sparse3d.core.errors import InputError, MissingDependency
from sparse3d.eval import lpips as module
from sparse3d.eval.lpips import lpips, lpips_status

CONVOLUTIONS = {
    "alex": {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)},
    "vgg": {
        0: (64, 3, 3), 2: (64, 64, 3), 5: (128, 64, 3), 7: (128, 128, 3),
        10: (256, 128, 3), 12: (256, 256, 3), 14: (256, 256, 3),
        17: (512, 256, 3), 19: (512, 512, 3), 21: (512, 512, 3),
        24: (512, 512, 3), 26: (512, 512, 3), 28: (512, 512, 3),
    },
}  # fmt: skip
FILES = {"alex": "alexnet-owt-00000000.pth", "vgg": "vgg16-00000000.pth"}
CHANNELS = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}


def write_weights(folder, net, generator):
    """Files as torchvision and lpips publish them, with random numbers."""
    features = {}
    for i, (out, inp, k) in CONVOLUTIONS[net].items():
        features[f"features.{i}.weight"] = torch.randn(out, inp, k, k, generator=generator) * (2 / (inp * k * k)) ** 0.5
        features[f"features.{i}.bias"] = torch.randn(out, generator=generator) * 0.1
    features["classifier.1.weight"] = torch.zeros(2, 2)
    heads = {f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1, generator=generator) for i, c in enumerate(CHANNELS[net])}
    (folder / "lpips").mkdir(exist_ok=True)
    torch.save(features, folder / FILES[net], _use_new_zipfile_serialization=net == "alex")
    torch.save(heads, folder / "lpips" / f"{net}.pth")
    return features, heads


def straightforward(a, b, net, features, heads):
    """LPIPS written out with functional calls."""
    strides = {0: (4, 2), 3: (1, 2)} if net == "alex" else {}

    def activations(image):
        x = torch.from_numpy(image).permute(2, 0, 1)[None] * 2 - 1
        shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
        x = (x - shift[:, None, None]) / scale[:, None, None]
        indices, kept, previous = list(CONVOLUTIONS[net]), [], 0
        for n, i in enumerate(indices):
            if n and i > previous + 2:  # a pooling layer lies between
                x = functional.max_pool2d(x, 3 if net == "alex" else 2, 2)
            stride, padding = strides.get(i, (1, 1))
            weight, bias = (features[f"features.{i}.{name}"].double() for name in ("weight", "bias"))
            x = functional.relu(functional.conv2d(x, weight, bias, stride, padding))
            if net == "alex" or n == len(indices) - 1 or indices[n + 1] > i + 2:
                kept.append(x)
            previous = i
        return kept

    total = 0.0
    for i, (x, y) in enumerate(zip(activations(a), activations(b), strict=True)):
        x, y = (z / ((z**2).sum(1, keepdim=True).sqrt() + 1e-10) for z in (x, y))
        total += float(((x - y) ** 2 * heads[f"lin{i}.model.1.weight"].double()).sum(1).mean())
    return total


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty weights folder and an empty hub cache; installed packages' heads out of sight."""
    monkeypatch.setenv("SPARSE3D_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr(module, "HEADS_WITHIN_PACKAGES", ())
    return tmp_path


@pytest.mark.parametrize(("net", "size"), [("alex", (65, 48)), ("vgg", (40, 33))])
def test_agrees_with_a_straightforward_computation(folder, generator, net, size):
    features, heads = write_weights(folder, net, generator)
    rng = np.random.default_rng(0)
    a, b = rng.random((*size, 3)), rng.random((*size, 3))
    assert lpips(a, b, net) == pytest.approx(straightforward(a, b, net, features, heads), rel=1e-4)
    assert lpips(torch.from_numpy(a), torch.from_numpy(a), net) == 0
    assert f"lpips {net}: ready" in lpips_status()
    assert "NOT the published file" in lpips_status()


def test_heads_come_from_an_installed_package_and_features_from_the_hub_cache(folder, generator, monkeypatch):
    pytest.importorskip("torchmetrics")
    features, _ = write_weights(folder, "alex", generator)
    (folder / "lpips" / "alex.pth").unlink()
    cache = folder / "hub" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    (folder / FILES["alex"]).rename(cache / FILES["alex"])
    monkeypatch.setattr(module, "HEADS_WITHIN_PACKAGES", (("torchmetrics", "functional/image/lpips_models"),))
    found = module.find_weights("alex")
    assert "torchmetrics" in str(found.heads)
    assert found.features.parent == cache
    heads = torch.load(found.heads, map_location="cpu", weights_only=True)
    a, b = np.zeros((64, 64, 3)), np.ones((64, 64, 3))
    assert lpips(a, b) == pytest.approx(straightforward(a, b, "alex", features, heads), rel=1e-4)


def test_absent_weights_say_what_to_get(folder, generator):
    image = np.zeros((64, 64, 3))
    with pytest.raises(MissingDependency, match="alexnet-owt"):
        lpips(image, image)
    assert "not measured" in lpips_status()
    write_weights(folder, "alex", generator)
    (folder / "lpips" / "alex.pth").unlink()
    with pytest.raises(MissingDependency, match="heads"):
        lpips(image, image)


class Malicious:
    """Pickles into a call that leaves a trace."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_damaged_and_malicious_files_are_refused(folder, generator):
    image, trace = np.zeros((64, 64, 3)), folder / "trace"
    features, _ = write_weights(folder, "alex", generator)
    path = folder / FILES["alex"]
    whole = path.read_bytes()
    wrong_shape = {**features, "features.0.weight": torch.zeros(3)}
    not_finite = {**features, "features.0.bias": torch.full((64,), torch.nan)}
    contents = [
        b"",
        b"garbage",
        whole[: len(whole) // 2],
        pickle.dumps(Malicious(trace), protocol=2),
        pickle.dumps([1], protocol=2),
    ]
    for i, content in enumerate([*contents, wrong_shape, not_finite, {}, [torch.zeros(1)]]):
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            torch.save(content, path)
        with pytest.raises(InputError, match=FILES["alex"]):
            lpips(image, image)
        assert not trace.exists(), i


def test_sizes(folder, generator):
    write_weights(folder, "alex", generator)
    with pytest.raises(ValueError, match="cannot be compared"):
        lpips(np.zeros((64, 64, 3)), np.zeros((64, 65, 3)))
    with pytest.raises(ValueError, match="at least 31"):
        lpips(np.zeros((30, 64, 3)), np.zeros((30, 64, 3)))
    assert lpips(np.zeros((31, 31, 3)), np.ones((31, 31, 3))) > 0
