"""Image metrics against scipy written out, scikit-image, torchmetrics and hand-made cases."""

import numpy as np
import PIL.Image
import pytest
import torch
from scipy.ndimage import gaussian_filter

from sparse3d.eval import image_metrics


def images(height=40, width=52, noise=0.1, seed=0):
    """A smooth image and a noisy copy."""
    rng = np.random.default_rng(seed)
    truth = gaussian_filter(rng.random((height, width, 3)), (3, 3, 0))
    truth = (truth - truth.min()) / (truth.max() - truth.min())
    return (truth + noise * rng.standard_normal(truth.shape)).clip(0, 1), truth


def scorer_ssim(x, y):
    """Channel by channel with scipy, as an outside scorer does it."""
    total = []
    for c in range(3):
        blur = lambda z: gaussian_filter(z, 1.5, truncate=3.5)  # noqa: E731
        a, b = x[..., c], y[..., c]
        ma, mb = blur(a), blur(b)
        va, vb, cov = blur(a * a) - ma * ma, blur(b * b) - mb * mb, blur(a * b) - ma * mb
        total.append((2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma * ma + mb * mb + 1e-4) * (va + vb + 9e-4)))
    return np.stack(total).mean()


def test_psnr_by_hand():
    a, b = np.full((4, 5, 3), 0.5), np.full((4, 5, 3), 0.6)
    assert image_metrics.psnr(a, b) == pytest.approx(20, abs=1e-6)
    assert image_metrics.psnr(a, a) == pytest.approx(120)
    b[0] = 0.5
    mask = np.zeros((4, 5), bool)
    mask[0] = True
    tensors = [torch.from_numpy(x) for x in (a, b, mask)]
    assert image_metrics.psnr(tensors[0], tensors[1], mask=tensors[2]) == pytest.approx(120)
    assert image_metrics.psnr(a, b, mask=~mask) == pytest.approx(20, abs=1e-6)


def test_ssim_agrees_with_the_scorer():
    x, y = images()
    assert image_metrics.ssim(x, y) == pytest.approx(scorer_ssim(x, y), abs=1e-12)
    assert image_metrics.ssim(y, y) == pytest.approx(1)


def test_ssim_valid_agrees_with_scikit_image():
    skimage = pytest.importorskip("skimage.metrics")
    x, y = images()
    theirs = skimage.structural_similarity(
        x, y, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0
    )
    assert image_metrics.ssim(x, y, borders="valid") == pytest.approx(theirs, abs=1e-9)


def test_ssim_mirror_agrees_with_torchmetrics():
    torchmetrics = pytest.importorskip("torchmetrics.functional.image")
    x, y = images()
    a, b = (torch.from_numpy(z).permute(2, 0, 1)[None] for z in (x, y))
    theirs = torchmetrics.structural_similarity_index_measure(a, b, data_range=1.0, sigma=1.5, kernel_size=11)
    assert image_metrics.ssim(x, y, borders="mirror") == pytest.approx(float(theirs), abs=1e-6)


def test_torchmetrics_own_borders_differ_little():
    """torchmetrics mirrors without repeating the outermost pixels: 0.0013 off on 52x40 pixels, 0.0002 on 260x200."""
    torchmetrics = pytest.importorskip("torchmetrics.functional.image")
    for size, most in (((40, 52), 2e-3), ((200, 260), 4e-4)):
        x, y = images(*size)
        a, b = (torch.from_numpy(z).permute(2, 0, 1)[None] for z in (x, y))
        theirs = torchmetrics.structural_similarity_index_measure(a, b, data_range=1.0, sigma=1.5, kernel_size=11)
        assert 0 < abs(image_metrics.ssim(x, y) - float(theirs)) < most


def test_psnr_agrees_with_torchmetrics():
    torchmetrics = pytest.importorskip("torchmetrics.functional.image")
    x, y = images()
    theirs = torchmetrics.peak_signal_noise_ratio(torch.from_numpy(x), torch.from_numpy(y), data_range=1.0)
    assert image_metrics.psnr(x, y) == pytest.approx(float(theirs), abs=1e-5)
    mask = np.random.default_rng(2).random(x.shape[:2]) < 0.3
    theirs = torchmetrics.peak_signal_noise_ratio(torch.from_numpy(x[mask]), torch.from_numpy(y[mask]), data_range=1.0)
    assert image_metrics.psnr(x, y, mask=mask) == pytest.approx(float(theirs), abs=1e-5)


def test_ssim_of_a_part_on_white_agrees_with_scikit_image():
    """The whole picture's mean is RegNeRF's figure for DTU, but for borders that scikit-image leaves out."""
    skimage = pytest.importorskip("skimage.metrics")
    x, y = images()
    mask = np.zeros(x.shape[:2], bool)
    mask[10:30, 15:40] = True
    cut = [image_metrics.on_white(z, mask) for z in (x, y)]
    assert (cut[0][~mask] == 1).all() and (cut[0][mask] == x[mask]).all()
    whole, similarity = skimage.structural_similarity(
        *cut, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0, full=True
    )
    assert image_metrics.ssim(*cut, borders="valid") == pytest.approx(whole, abs=1e-9)
    assert image_metrics.ssim(*cut, mask=mask) == pytest.approx(similarity[mask].mean(), abs=1e-9)
    assert image_metrics.ssim(*cut, mask=mask) < image_metrics.ssim(*cut)


def test_a_mask_keeps_what_lies_wholly_inside_when_it_shrinks():
    mask = np.zeros((1024, 1536), bool)
    mask[1:600, 1:600] = True
    small = image_metrics.mask_to_scoring_resolution(mask)
    assert small.shape == (341, 512)
    assert small[1:198, 1:198].all()
    assert not small[0].any() and not small[:, 0].any() and not small[201:].any()
    assert np.array_equal(
        image_metrics.mask_to_scoring_resolution(torch.from_numpy(mask[:400, :500])), mask[:400, :500]
    )


def test_ssim_zero_borders_agree_with_a_padded_convolution():
    x, y = images(24, 30)
    taps = torch.exp(-((torch.arange(11, dtype=torch.float64) - 5) ** 2) / (2 * 1.5**2))
    window = torch.outer(taps / taps.sum(), taps / taps.sum()).expand(3, 1, 11, 11)
    a, b = (torch.from_numpy(z).permute(2, 0, 1)[None] for z in (x, y))
    blur = lambda z: torch.nn.functional.conv2d(z, window, padding=5, groups=3)  # noqa: E731
    ma, mb = blur(a), blur(b)
    va, vb, cov = blur(a * a) - ma**2, blur(b * b) - mb**2, blur(a * b) - ma * mb
    theirs = ((2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))).mean()
    assert image_metrics.ssim(x, y, borders="zero") == pytest.approx(float(theirs), abs=1e-9)


def test_ssim_mask_selects_windows():
    x, y = images()
    x[:, :20] = y[:, :20]
    mask = np.zeros(x.shape[:2], bool)
    mask[:, :15] = True  # windows reach 5 pixels further
    assert image_metrics.ssim(x, y, mask=mask) == pytest.approx(1)
    assert image_metrics.ssim(x, y, mask=~mask) < image_metrics.ssim(x, y) < 1


def test_images_smaller_than_the_window():
    x, y = images(3, 2)
    assert image_metrics.ssim(x, y) == pytest.approx(scorer_ssim(x, y))
    with pytest.raises(ValueError, match="11x11"):
        image_metrics.ssim(x, y, borders="valid")


def test_sizes_and_masks_that_do_not_fit():
    x, y = images()
    with pytest.raises(ValueError, match="cannot be compared"):
        image_metrics.psnr(x, y[1:])
    with pytest.raises(ValueError, match="mask"):
        image_metrics.psnr(x, y, mask=np.ones((2, 2), bool))
    with pytest.raises(ValueError, match="no pixel"):
        image_metrics.psnr(x, y, mask=np.zeros(x.shape[:2], bool))


@pytest.mark.parametrize("size", [(512, 300), (700, 400), (769, 1025), (1280, 5), (40, 30)])
def test_scoring_resolution_is_the_scorers(size):
    width, height = size
    image = np.random.default_rng(1).random((height, width, 3)) * 1.2 - 0.1
    pixels = (image.clip(0, 1) * 255).round().astype("uint8")
    h = max(1, round(max(pixels.shape) / 512))
    size = (max(1, width // h), max(1, height // h))
    expected = np.asarray(PIL.Image.fromarray(pixels).resize(size, PIL.Image.BOX), float)
    found = image_metrics.to_scoring_resolution(torch.from_numpy(image))
    np.testing.assert_array_equal(found, image_metrics.from_pixels(expected.astype("uint8")))
    assert np.abs(found - expected / 255).max() < 1e-12


def test_quantise_survives_what_is_not_a_number():
    pixels = image_metrics.quantise(np.array([[[np.nan, np.inf, -np.inf]]]))
    assert pixels.tolist() == [[[0, 255, 0]]]
