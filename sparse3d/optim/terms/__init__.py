"""The ideas beside the photometric loss: each a module with its settings, off where its weight is 0."""
