"""Joint optimisation of Gaussians and cameras against the photos."""
