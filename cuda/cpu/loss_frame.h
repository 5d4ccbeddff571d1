// What the photometric loss hands to the kernels of one instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sparse3d/ssim.h"

namespace s3d {

// One view; rows are 3 * width values, channels interleaved.
template <class Real>
struct LossFrame {
  int width, height;
  const Real *rendered, *target;
  const Real* weights;  // (h, w) or null
  Real* gradient;       // (h, w, 3) or null
  double l1_weight, ssim_weight, scale;
  // (h): sums over a row of weight * |difference|, weight * SSIM and weight * difference^2
  double *row_l1, *row_ssim, *row_squares;
};

constexpr int kRowAlignment = 16;
constexpr int kRowPadding = (3 * kHalfWindow + kRowAlignment - 1) / kRowAlignment * kRowAlignment;

// Values a row takes in scratch memory: the zeros that continue the image, and room for the last vector.
constexpr size_t padded_row(int width) {
  return (size_t(3) * width + 2 * kRowPadding + 2 * kRowAlignment - 1) / kRowAlignment * kRowAlignment;
}

constexpr int kForwardMaps = 4, kBackwardMaps = 3;

// Scratch of one thread: a padded row per map, rings of blurred rows and a ring of weights, one a channel.
constexpr size_t loss_scratch_reals(int width) {
  return ((kForwardMaps + kBackwardMaps) * size_t(kWindow + 1) + kWindow) * padded_row(width);
}

// Pixels of one view, in any order.
template <class Real>
struct DepthFrame {
  const Real *rendered, *alpha, *known, *confidence;
  Real* gradient;  // or null
  Real min_alpha, softness, cutoff, gradient_scale;
};

// A sum over the pixels [begin, end).
template <class Real>
using DepthRange = double (*)(const DepthFrame<Real>&, int64_t begin, int64_t end);

template <class Real>
using LossBand = void (*)(const LossFrame<Real>&, int begin, int end, Real* scratch);

}  // namespace s3d
