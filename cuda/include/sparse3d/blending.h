// Front-to-back alpha blending of one splat at one pixel (or one vector of pixels), and its gradient.
#pragma once

#include "sparse3d/constants.h"
#include "sparse3d/scalar.h"

namespace s3d {
namespace S3D_ISA {

// Opacity of a splat at a pixel from the exponent in base 2, log2(opacity) - log2(e) / 2 * d^T conic d. Zero where the
// splat is too faint or the pixel is already opaque.
template <class T>
S3D_HD T blend_alpha(T exponent, T transmittance) {
  const T faint(-kLog2InverseMinAlpha), opaque(kMinTransmittance);
  const T alpha = minimum(base2_exp(exponent), T(kMaxAlpha));
  return select((exponent >= faint) & (transmittance >= opaque), alpha, T(0));
}

// Whether the median depth is that of the splat that takes the transmittance from `before` to `after`.
template <class T>
S3D_HD auto is_median(T before, T after) {
  const T half(0.5);
  return (before >= half) & (half > after);
}

// d loss / d ln(alpha) for one splat at one pixel.
//
// With weights w_j = T_j alpha_j and shade s_j = sum over channels of gradient * value, the loss changes by
//   d loss / d alpha_i = T_i s_i - residual / (1 - alpha_i),   residual = sum_{j > i} w_j s_j + T_end * s_background,
// where the residual behind the splat is carried front to back by subtracting w_i s_i.
// No gradient passes where alpha is held at kMaxAlpha.
template <class T>
S3D_HD T blend_backward(T alpha, T weighted_shade, T residual_behind) {
  const T g = weighted_shade - residual_behind * (alpha * reciprocal(T(1) - alpha));
  return select(alpha < T(kMaxAlpha), g, T(0));
}

}  // namespace S3D_ISA
}  // namespace s3d
