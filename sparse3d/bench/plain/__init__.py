"""Plain 3D Gaussian Splatting (Kerbl et al. 2023): the baseline that the program's own way of optimising is held against."""
