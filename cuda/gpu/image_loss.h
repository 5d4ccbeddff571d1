// The photometric loss of all views and its gradient.
#pragma once

#include "frame.h"
#include "sparse3d/ssim.h"

namespace s3d {
namespace gpu {

// Sums over a block's pixels: weight * |difference|, weight * SSIM, weight, weight * difference^2.
constexpr int kLossSums = 4;
// Derivatives of SSIM to the windowed mean, the sum of squares and the product.
constexpr int kLossMaps = 3;

template <class Real>
struct LossFrame {
  int views, width, height;
  const Real *rendered, *target, *weights;
  Real* gradient;
  Real* loss;  // the loss and the mean squared error
  Real ssim_weight;
  double* partials;     // (blocks, kLossSums)
  Real* inverse_total;  // one value
  Real* maps;           // (views, 3 colours, kLossMaps, h, w)
};

template <class Real>
void image_loss(const LossFrame<Real>& f, cudaStream_t stream);
unsigned loss_blocks(int views, int width, int height);

}  // namespace gpu
}  // namespace s3d
