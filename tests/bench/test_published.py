"""The file of published figures: what is shipped is sound, and what is not is refused with its place."""

import pytest

from sparse3d.bench.published import matching, published_file, read_published
from sparse3d.core.errors import InputError

GOOD = "{method: A, protocol: llff-8, poses: posed, views: 3, psnr: 20}"


def write(tmp_path, *entries, head="version: 1"):
    path = tmp_path / "published.yaml"
    path.write_text("\n".join([head, "figures:", *(f"  - {entry}" for entry in entries)]) + "\n")
    return path


def test_the_shipped_file_is_sound_and_sorted_by_quality():
    path = published_file()
    assert path is not None
    found = matching(read_published(path), "llff-8", 3, "posed")
    assert len(found) >= 6 and found[0].psnr == max(p.psnr or 0 for p in found)
    assert not matching(found, "llff-8", 3, "unposed") and not matching(found, "llff-8", 6, "posed")


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (GOOD.replace("psnr: 20", "psnr: 200"), "psnr is 200"),
        (GOOD.replace("psnr: 20", "psnr: high"), "psnr is 'high'"),
        (GOOD.replace(", psnr: 20", ""), "has none of psnr"),
        (GOOD.replace("posed", "perhaps"), "poses is 'perhaps'"),
        (GOOD.replace("views: 3", "views: three"), "views is 'three'"),
        (GOOD.replace("method: A, ", ""), "method is None"),
        (GOOD.replace("psnr", "pnsr"), "pnsr"),
        ("just words", "just words"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_place(tmp_path, entry, told):
    with pytest.raises(InputError, match=r"published\.yaml: figure 2: .*") as caught:
        read_published(write(tmp_path, GOOD, entry))
    assert told in str(caught.value)


def test_another_version_is_refused(tmp_path):
    with pytest.raises(InputError, match="version: 1"):
        read_published(write(tmp_path, GOOD, head="version: 2"))
