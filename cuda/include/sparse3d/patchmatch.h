// PatchMatch stereo with slanted planes: the cost of a plane at a pixel against one other view, and the planes tried.
//
// A plane is affine in inverse depth over the image, and a pixel with inverse depth u has the homogeneous coordinates
// `rays + u * shift` in another view, so that a window warps by an exact homography. Weights and correlation follow
// Xu & Tao 2019 (ACMM), the planar prior Xu & Tao 2020 (ACMP).
//
// T is the value type (one pixel or a vector of pixels), Real the type of what arrays hold.
#pragma once

#include <cstdint>

#include "sparse3d/scalar.h"

namespace s3d {

constexpr int kMaxStereoViews = 8;
// Cost of what cannot be seen or lies outside the range of depth.
constexpr float kWorstCost = 2.0f;

// Where the reference view's pixels fall in another view, counted from the first pixel's centre; and back.
template <class Real>
struct StereoView {
  int width, height;
  const uint32_t* quads;  // (height, width): grey bytes of a pixel and of those right, below and below right of it
  const Real* inverse;    // (height, width): 0 unknown, negative where masked; or null
  const Real* visible;    // (reference height, width): weight of the view at each pixel; or null
  Real homography[9], shift[3], back_homography[9], back_shift[3];
};

namespace S3D_ISA {

// A window of 11x11 pixels of which every second one is looked at.
constexpr int kWindowSide = 6, kWindowStep = 2, kWindowSamples = kWindowSide * kWindowSide;
constexpr int kWindowFirst = -(kWindowSide - 1);
// Windows whose grey levels (of 255) deviate less count as untextured: the noise of sensors and JPEG.
constexpr float kTextureNoise = 2.5f;
// Difference of grey and distance in pixels at which a sample's weight has fallen by e and by sqrt(e).
constexpr float kGreyScale = 18.0f, kDistanceScale = 5.0f;
// Difference of mean grey at which two windows show different things whatever their pattern.
constexpr float kGreyTruncation = 30.0f;
// Homogeneous coordinate below which a point counts as behind the camera.
constexpr float kMinHomogeneous = 1e-6f;
// Largest change of inverse depth a pixel, relative to it: a surface seen at 88 degrees by a lens of 500 pixels.
constexpr float kMaxSlope = 0.05f;
// Spread of the weight exp(-cost^2 / 2 spread^2) that a view has by its costs there.
constexpr float kViewSpread = 0.3f;

// Inverse depth at a pixel and its change a pixel to the right and down.
template <class T>
struct Plane {
  T inverse, slope_x, slope_y;
};

template <class T>
struct Window {
  T value[kWindowSamples], weight[kWindowSamples];  // weights sum to one
  T mean, inverse_deviation;
};

template <class T>
struct Homogeneous {
  T x, y, z;
};

template <class T, class Real>
S3D_HD Homogeneous<T> transfer(const Real* homography, T x, T y) {
  const Real* h = homography;
  return {multiply_add(T(h[0]), x, multiply_add(T(h[1]), y, T(h[2]))),
          multiply_add(T(h[3]), x, multiply_add(T(h[4]), y, T(h[5]))),
          multiply_add(T(h[6]), x, multiply_add(T(h[7]), y, T(h[8])))};
}

template <class T>
S3D_HD T e_to(T x) {
  return base2_exp(maximum(x * T(1.44269504f), T(-100.0f)));
}

template <class T>
S3D_HD T inverse_root(T x) {
  return base2_exp(T(-0.5f) * base2_log(x));
}

S3D_HD bool any(bool m) { return m; }

// Grey between the centres of four pixels; x and y lie in [0, side - 1).
template <class Real>
S3D_HD Real bilinear(const uint32_t* quads, int width, Real x, Real y) {
  const int left = int(x), top = int(y);
  const uint32_t q = quads[top * width + left];
  const Real fx = x - Real(left), fy = y - Real(top);
  const Real a(q & 255u), b((q >> 8) & 255u), c((q >> 16) & 255u), d(q >> 24);
  const Real upper = multiply_add(fx, b - a, a), lower = multiply_add(fx, d - c, c);
  return multiply_add(fy, lower - upper, upper);
}

// The value at the nearest pixel; x and y lie in [0, side - 1].
template <class Real>
S3D_HD Real nearest(const Real* map, int width, Real x, Real y) {
  return map[int(y + Real(0.5)) * width + int(x + Real(0.5))];
}

// The reference's window: `grey(dx, dy)` gives the grey value beside the pixel, `centre` its own.
template <class T, class Grey>
S3D_HD void look_at(Window<T>* window, T centre, Grey grey) {
  T sum(0.0f), mean(0.0f), squares(0.0f);
  for (int row = 0; row < kWindowSide; ++row)
    for (int column = 0; column < kWindowSide; ++column) {
      const int dx = kWindowFirst + column * kWindowStep, dy = kWindowFirst + row * kWindowStep;
      const T value = grey(dx, dy), difference = value - centre;
      const float distance = float(dx * dx + dy * dy) / (2 * kDistanceScale * kDistanceScale);
      const T weight = e_to(-maximum(difference, -difference) * T(1 / kGreyScale) - T(distance));
      const int i = row * kWindowSide + column;
      window->value[i] = value;
      window->weight[i] = weight;
      sum = sum + weight;
      mean = multiply_add(weight, value, mean);
      squares = multiply_add(weight * value, value, squares);
    }
  const T scale = reciprocal(sum);
  mean = mean * scale;
  const T variance = maximum(squares * scale - mean * mean, T(0.0f)) + T(kTextureNoise * kTextureNoise);
  window->mean = mean;
  window->inverse_deviation = inverse_root(variance);
  for (int i = 0; i < kWindowSamples; ++i) window->weight[i] = window->weight[i] * scale;
}

// Photometric cost in [0, 1]: one minus the bilaterally weighted correlation, with a share of plain difference of grey.
template <class T, class Real>
S3D_HD T window_cost(const Window<T>& window, const Plane<T>& plane, Homogeneous<T> centre,
                     const StereoView<Real>& view, Real grey_share) {
  const Real *h = view.homography, *s = view.shift;
  const T right_x = multiply_add(plane.slope_x, T(s[0]), T(h[0])),
          down_x = multiply_add(plane.slope_y, T(s[0]), T(h[1]));
  const T right_y = multiply_add(plane.slope_x, T(s[1]), T(h[3])),
          down_y = multiply_add(plane.slope_y, T(s[1]), T(h[4]));
  const T right_z = multiply_add(plane.slope_x, T(s[2]), T(h[6])),
          down_z = multiply_add(plane.slope_y, T(s[2]), T(h[7]));
  const T last_x(Real(view.width) - Real(1.001)), last_y(Real(view.height) - Real(1.001)), zero(0.0f);
  T mean(0.0f), squares(0.0f), products(0.0f);
  for (int row = 0; row < kWindowSide; ++row) {
    const T dy(float(kWindowFirst + row * kWindowStep));
    const Homogeneous<T> left{multiply_add(dy, down_x, centre.x), multiply_add(dy, down_y, centre.y),
                              multiply_add(dy, down_z, centre.z)};
    for (int column = 0; column < kWindowSide; ++column) {
      const T dx(float(kWindowFirst + column * kWindowStep));
      const T depth = reciprocal(maximum(multiply_add(dx, right_z, left.z), T(kMinHomogeneous)));
      const T x = clamp(multiply_add(dx, right_x, left.x) * depth, zero, last_x);
      const T y = clamp(multiply_add(dx, right_y, left.y) * depth, zero, last_y);
      const T value = bilinear(view.quads, view.width, x, y);
      const int i = row * kWindowSide + column;
      const T weighted = window.weight[i] * value;
      mean = mean + weighted;
      squares = multiply_add(weighted, value, squares);
      products = multiply_add(weighted, window.value[i], products);
    }
  }
  const T variance = maximum(squares - mean * mean, zero) + T(kTextureNoise * kTextureNoise);
  const T correlation = (products - mean * window.mean) * window.inverse_deviation * inverse_root(variance);
  const T cost = clamp(T(1.0f) - correlation, zero, T(1.0f)), difference = mean - window.mean;
  const T unlike = minimum(maximum(difference, -difference) * T(1 / kGreyTruncation), T(1.0f));
  return multiply_add(T(grey_share), unlike - cost, cost);
}

template <class T>
struct ViewCost {
  T cost, weight;  // weight 0 where the view does not see the point
};

// Cost of a plane at pixel (x, y) against one view: photometric, and by how far the pixel is missed on the trip to the
// other view's surface and back, up to `max_error` pixels.
template <class T, class Real>
S3D_HD ViewCost<T> view_cost(const Window<T>& window, const Plane<T>& plane, T x, T y, const StereoView<Real>& view,
                             Real grey_share, Real geometric_share, Real max_error) {
  Homogeneous<T> centre = transfer(view.homography, x, y);
  centre.x = multiply_add(plane.inverse, T(view.shift[0]), centre.x);
  centre.y = multiply_add(plane.inverse, T(view.shift[1]), centre.y);
  centre.z = multiply_add(plane.inverse, T(view.shift[2]), centre.z);
  const T zero(0.0f), one(1.0f), depth = reciprocal(maximum(centre.z, T(kMinHomogeneous)));
  const T there_x = centre.x * depth, there_y = centre.y * depth;
  const T last_x(Real(view.width - 1)), last_y(Real(view.height - 1));
  const auto inside =
      (centre.z > T(kMinHomogeneous)) & (there_x > zero) & (there_y > zero) & (there_x < last_x) & (there_y < last_y);
  ViewCost<T> result{one, select(inside, one, zero)};
  if (!any(inside)) return result;
  result.cost = window_cost(window, plane, centre, view, grey_share);
  if (view.inverse) {
    const T surface = nearest(view.inverse, view.width, clamp(there_x, zero, last_x), clamp(there_y, zero, last_y));
    result.weight = select(surface < zero, zero, result.weight);
    if (geometric_share > 0) {
      Homogeneous<T> back = transfer(view.back_homography, there_x, there_y);
      back.x = multiply_add(surface, T(view.back_shift[0]), back.x);
      back.y = multiply_add(surface, T(view.back_shift[1]), back.y);
      back.z = maximum(multiply_add(surface, T(view.back_shift[2]), back.z), T(kMinHomogeneous));
      const T scale = reciprocal(back.z), off_x = back.x * scale - x, off_y = back.y * scale - y;
      const T squared = minimum(multiply_add(off_x, off_x, off_y * off_y), T(max_error * max_error));
      const T error = select(surface > zero, square_root(squared) * T(1 / max_error), one);
      result.cost = multiply_add(T(geometric_share), error, result.cost);
    }
  }
  return result;
}

}  // namespace S3D_ISA
}  // namespace s3d
