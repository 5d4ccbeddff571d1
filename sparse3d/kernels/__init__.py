"""Loads the compiled kernels; torch operators over them."""
