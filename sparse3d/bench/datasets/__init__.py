"""Data sets of the literature under their protocols (docs/protocols.md), read without decoding a pixel."""

from sparse3d.bench.datasets.registry import DATASETS, load_dataset

__all__ = ["DATASETS", "load_dataset"]
