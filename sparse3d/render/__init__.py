"""Drawing Gaussians: one interface over the rasterisers, and losses on images."""
