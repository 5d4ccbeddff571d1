// Constants of the image formation, each with its reason. Host and device, every backend, use these.
#pragma once

namespace s3d {

// A contribution below one grey level of 8 bits cannot be seen; it bounds a splat's footprint (Kerbl et al. 2023).
constexpr double kMinAlpha = 1.0 / 255.0;
// log2(255): the exponent at which alpha meets kMinAlpha.
constexpr double kLog2InverseMinAlpha = 7.994353436858858;
// Keeps 1 / (1 - alpha) finite in the backward pass.
constexpr double kMaxAlpha = 0.999;
// A splat is blended while the transmittance in front of it is at least this; what lies behind changes a colour by
// less than 1e-4.
constexpr double kMinTransmittance = 1e-4;
// The Jacobian of the projection is linearised no further outside the image than this fraction of its size, beyond
// either border: 0.15 * size = 0.3 * tan(fov / 2) in units of the image plane (Kerbl et al. 2023 use 1.3 * tan).
constexpr double kFrustumMargin = 0.15;
// Mean depth is told where more than this was blended; below, rounding and stray splats would speak.
constexpr double kMinDepthAlpha = 1e-3;
constexpr double kLog2E = 1.4426950408889634;
// Spherical harmonics are stored about mid grey: colour = max(0, SH + 0.5).
constexpr double kColourOffset = 0.5;

}  // namespace s3d
