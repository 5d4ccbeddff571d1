// Structural similarity from window means (Wang et al. 2004, eq. 13), and its derivatives.
#pragma once

#include "sparse3d/scalar.h"

namespace s3d {

// The window: 11 taps of a Gaussian with a standard deviation of 1.5 pixels (section III.B of the same paper).
constexpr int kWindow = 11;
constexpr int kHalfWindow = kWindow / 2;
constexpr double kWindowTaps[kWindow] = {0.00102838008447911,  0.007598758135239185, 0.03600077212843083,
                                         0.10936068950970002,  0.2130055377112537,   0.26601172486179436,
                                         0.2130055377112537,   0.10936068950970002,  0.03600077212843083,
                                         0.007598758135239185, 0.00102838008447911};
// Stabilisers (0.01)^2 and (0.03)^2 for colours in [0, 1].
constexpr double kSsimC1 = 1e-4, kSsimC2 = 9e-4;

namespace S3D_ISA {

// Windowed means of x, y, x^2 + y^2 and x y: only the sum of the two variances enters.
template <class T>
struct SsimMoments {
  T mean_x, mean_y, squares, product;
};

template <class T>
struct SsimPoint {
  T value;
  T d_mean_x, d_squares, d_product;  // derivatives to the moments that depend on x
};

template <class T>
S3D_HD SsimPoint<T> ssim_point(const SsimMoments<T>& m) {
  const T two(2), one(1), c1(kSsimC1), c2(kSsimC2);
  const T mean_product = m.mean_x * m.mean_y, mean_squares = m.mean_x * m.mean_x + m.mean_y * m.mean_y;
  const T a1 = two * mean_product + c1, a2 = two * (m.product - mean_product) + c2;
  const T b1 = mean_squares + c1, b2 = (m.squares - mean_squares) + c2;
  const T inverse = one / (b1 * b2);
  const T inverse_b1 = inverse * b2, inverse_b2 = inverse * b1;
  SsimPoint<T> p;
  p.value = a1 * a2 * inverse;
  p.d_mean_x = two * (m.mean_y * (a2 - a1) * inverse - p.value * m.mean_x * (inverse_b1 - inverse_b2));
  p.d_squares = -p.value * inverse_b2;
  p.d_product = two * a1 * inverse;
  return p;
}

}  // namespace S3D_ISA
}  // namespace s3d
