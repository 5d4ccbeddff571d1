// L1 + SSIM of a band of rows and its gradient, in one sweep: each stage keeps the last eleven rows of the one before.
//
//   images -> x, y, x^2 + y^2, x y -> blurred along rows -> blurred along columns -> SSIM and three derivatives
//          -> blurred along rows -> blurred along columns -> gradient
#include <cstring>

#include "kernels.h"
#include "loss_frame.h"
#include "sparse3d/simd.h"

namespace s3d {
namespace S3D_ISA {
namespace {

#ifdef __AVX512F__
constexpr int kWide = 16;
#else
constexpr int kWide = 8;
#endif

template <class Real>
using V = Simd<Real, kWide>;

template <class Real>
class Band {
 public:
  Band(const LossFrame<Real>& frame, int begin, Real* scratch)
      : f_(frame), begin_(begin), length_(3 * frame.width), stride_(padded_row(frame.width)) {
    std::memset(scratch, 0, loss_scratch_reals(frame.width) * sizeof(Real));
    forward_rows_ = scratch;
    forward_ring_ = forward_rows_ + kForwardMaps * stride_;
    backward_rows_ = forward_ring_ + kForwardMaps * kWindow * stride_;
    backward_ring_ = backward_rows_ + kBackwardMaps * stride_;
    finished_ = backward_ring_ + kBackwardMaps * kWindow * stride_;
    weights_ = finished_ + kBackwardMaps * stride_;
  }

  // Row r of the images enters: its blur along the row, or zeros outside the image.
  void take_row(int r) {
    if (r < 0 || r >= f_.height) return clear_ring(forward_ring_, kForwardMaps, r);
    const Real *x = f_.rendered + size_t(r) * length_, *y = f_.target + size_t(r) * length_;
    expand_weights(r);
    Real* __restrict__ row = forward_rows_ + kRowPadding;
    for (int i = 0; i < length_; ++i) {
      const Real judged = f_.weights ? y[i] + weights_[i] * (x[i] - y[i]) : x[i];
      row[i] = judged;
      row[stride_ + i] = y[i];
      row[2 * stride_ + i] = judged * judged + y[i] * y[i];
      row[3 * stride_ + i] = judged * y[i];
    }
    for (int m = 0; m < kForwardMaps; ++m) blur_row(row + m * stride_, ring_row(forward_ring_, m, r));
  }

  // SSIM at row q, all rows q - 5 to q + 5 having been taken.
  void compare_row(int q, bool count) {
    if (q < 0 || q >= f_.height) return clear_ring(backward_ring_, kBackwardMaps, q);
    expand_weights(q);
    const V<Real> coefficient(Real(-f_.ssim_weight * f_.scale));
    V<Real> sum(Real(0));
    for (int i = 0; i < length_; i += kWide) {
      const SsimMoments<V<Real>> moments{blur_column(forward_ring_, 0, q, i), blur_column(forward_ring_, 1, q, i),
                                         blur_column(forward_ring_, 2, q, i), blur_column(forward_ring_, 3, q, i)};
      const auto point = ssim_point(moments);
      const V<Real> weight = V<Real>::load(weights_ + i);  // zero past the end of the row
      sum = sum + weight * point.value;
      const V<Real> g = coefficient * weight;
      Real* out = backward_rows_ + kRowPadding + i;
      (g * point.d_mean_x).store(out);
      (g * point.d_squares).store(out + stride_);
      (g * point.d_product).store(out + 2 * stride_);
    }
    if (count) f_.row_ssim[q] = double(horizontal_sum(sum));
    if (!f_.gradient) return;
    for (int m = 0; m < kBackwardMaps; ++m)
      blur_row(backward_rows_ + m * stride_ + kRowPadding, ring_row(backward_ring_, m, q));
  }

  // Gradient at row p, SSIM at all rows p - 5 to p + 5 having been compared; and the L1 sum.
  void finish_row(int p) {
    const Real *x = f_.rendered + size_t(p) * length_, *y = f_.target + size_t(p) * length_;
    expand_weights(p);
    Real sum = 0;
    for (int i = 0; i < length_; ++i) {
      const Real difference = x[i] - y[i];
      finished_[i] = weights_[i] * (difference < 0 ? -difference : difference);
    }
    for (int i = 0; i < length_; ++i) sum += finished_[i];
    f_.row_l1[p] = double(sum);
    if (!f_.gradient) return;
    Real *mean = finished_, *squares = mean + stride_, *product = squares + stride_;
    for (int i = 0; i < length_; i += kWide) {
      blur_column(backward_ring_, 0, p, i).store(mean + i);
      blur_column(backward_ring_, 1, p, i).store(squares + i);
      blur_column(backward_ring_, 2, p, i).store(product + i);
    }
    Real* __restrict__ gradient = f_.gradient + size_t(p) * length_;
    const Real l1 = Real(f_.l1_weight * f_.scale);
    for (int i = 0; i < length_; ++i) {
      const Real difference = x[i] - y[i], judged = y[i] + weights_[i] * difference;
      const Real sign = (difference > 0 ? l1 : Real(0)) - (difference < 0 ? l1 : Real(0));
      gradient[i] = weights_[i] * (sign + mean[i] + 2 * judged * squares[i] + y[i] * product[i]);
    }
  }

 private:
  Real* ring_row(Real* ring, int map, int r) const {
    return ring + (size_t(map) * kWindow + size_t(r - begin_ + 2 * kWindow) % kWindow) * stride_;
  }

  void clear_ring(Real* ring, int maps, int r) const {
    for (int m = 0; m < maps; ++m) std::memset(ring_row(ring, m, r), 0, stride_ * sizeof(Real));
  }

  void expand_weights(int q) {
    for (int x = 0; x < f_.width; ++x) {
      const Real weight = f_.weights ? f_.weights[size_t(q) * f_.width + x] : Real(1);
      weights_[3 * x] = weights_[3 * x + 1] = weights_[3 * x + 2] = weight;
    }
  }

  // Channels are interleaved: neighbours along a row are three values apart.
  void blur_row(const Real* in, Real* out) const {
    for (int i = 0; i < length_; i += kWide) {
      V<Real> sum = V<Real>(Real(kWindowTaps[kHalfWindow])) * V<Real>::load(in + i);
      for (int k = 1; k <= kHalfWindow; ++k)
        sum = multiply_add(V<Real>(Real(kWindowTaps[kHalfWindow + k])),
                           V<Real>::load(in + i - 3 * k) + V<Real>::load(in + i + 3 * k), sum);
      sum.store(out + i);
    }
  }

  S3D_HD V<Real> blur_column(Real* ring, int map, int centre, int i) const {
    V<Real> sum = V<Real>(Real(kWindowTaps[kHalfWindow])) * V<Real>::load(ring_row(ring, map, centre) + i);
    for (int k = 1; k <= kHalfWindow; ++k)
      sum = multiply_add(
          V<Real>(Real(kWindowTaps[kHalfWindow + k])),
          V<Real>::load(ring_row(ring, map, centre - k) + i) + V<Real>::load(ring_row(ring, map, centre + k) + i), sum);
    return sum;
  }

  const LossFrame<Real>& f_;
  int begin_, length_;
  size_t stride_;
  Real *forward_rows_, *forward_ring_, *backward_rows_, *backward_ring_, *finished_, *weights_;
};

}  // namespace

template <class Real>
void loss_band(const LossFrame<Real>& frame, int begin, int end, Real* scratch) {
  Band<Real> band(frame, begin, scratch);
  constexpr int kHalf = kHalfWindow;
  for (int r = begin - 2 * kHalf; r < end + 2 * kHalf; ++r) {
    band.take_row(r);
    const int q = r - kHalf, p = q - kHalf;
    if (q >= begin - kHalf) band.compare_row(q, q >= begin && q < end);
    if (p >= begin) band.finish_row(p);
  }
}

template void loss_band<float>(const LossFrame<float>&, int, int, float*);
#ifdef S3D_WITH_DOUBLE
template void loss_band<double>(const LossFrame<double>&, int, int, double*);
#endif

}  // namespace S3D_ISA
}  // namespace s3d
