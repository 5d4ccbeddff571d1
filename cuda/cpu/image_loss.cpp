// L1 + SSIM of a band of rows and its gradient, in one sweep: each stage keeps the last eleven rows of the one before.
//
//   images -> x, y, x^2 + y^2, x y -> blurred along rows -> blurred along columns -> SSIM and three derivatives
//          -> blurred along rows -> blurred along columns -> gradient
#include <cstring>
#include <utility>

#include "kernels.h"
#include "loss_frame.h"
#include "sweep.h"

namespace s3d {
namespace S3D_ISA {
namespace {

// Rows of the caller's images end where they end: what is missing of the last vector reads as zero and is not stored.
template <class Real>
S3D_HD V<Real> load_row(const Real* p, int left) {
  if (__builtin_expect(left >= kWide, 1)) return V<Real>::load(p);
  Real values[kWide] = {};
  std::memcpy(values, p, size_t(left) * sizeof(Real));
  return V<Real>::load(values);
}

template <class Real>
S3D_HD void store_row(V<Real> x, Real* p, int left) {
  if (__builtin_expect(left >= kWide, 1)) return x.store(p);
  Real values[kWide];
  x.store(values);
  std::memcpy(p, values, size_t(left) * sizeof(Real));
}

// The window's weight k pixels from its centre.
template <class Real>
S3D_HD V<Real> tap(int k) {
  return V<Real>(Real(kWindowTaps[kHalfWindow + k]));
}

// Lanes kFirst to kFirst + kWide of two vectors that follow one another.
template <int kFirst, class Real, int... kLane>
S3D_HD V<Real> shifted(V<Real> a, V<Real> b, std::integer_sequence<int, kLane...>) {
  V<Real> r;
  r.part[0] = __builtin_shufflevector(a.part[0], b.part[0], (kFirst + kLane)...);
  return r;
}
template <int kFirst, class Real, int W>
S3D_HD Simd<Real, W> shifted(Simd<Real, W> a, Simd<Real, W> b) {
  return shifted<kFirst, Real>(a, b, std::make_integer_sequence<int, kWide>());
}

template <class Real>
class Band {
 public:
  Band(const LossFrame<Real>& frame, int begin, Real* scratch)
      : f_(frame), begin_(begin), length_(3 * frame.width), stride_(padded_row(frame.width)) {
    std::memset(scratch, 0, loss_scratch_reals(frame.width) * sizeof(Real));
    forward_rows_ = scratch;
    forward_ring_ = forward_rows_ + kForwardMaps * stride_;
    backward_rows_ = forward_ring_ + kWindow * kForwardMaps * stride_;
    backward_ring_ = backward_rows_ + kBackwardMaps * stride_;
    weights_ring_ = backward_ring_ + kWindow * kBackwardMaps * stride_;
    if (f_.weights) return;
    for (int r = 0; r < kWindow; ++r)
      for (int i = 0; i < length_; ++i) weights_ring_[r * stride_ + i] = Real(1);
  }

  // Row r of the images enters: its blur along the row, or zeros outside the image.
  void take_row(int r) {
    if (r < 0 || r >= f_.height) return clear_row<kForwardMaps>(forward_ring_, r);
    const Real *x = f_.rendered + size_t(r) * length_, *y = f_.target + size_t(r) * length_;
    if (f_.weights) expand_weights(r);
    const Real* weights = weights_row(r);
    Real* row = forward_rows_ + kRowPadding;
    for (int i = 0; i < length_; i += kWide) {
      const V<Real> target = load_row(y + i, length_ - i);
      const V<Real> judged = judge(load_row(x + i, length_ - i), target, V<Real>::load(weights + i));
      judged.store(row + i);
      target.store(row + stride_ + i);
      multiply_add(judged, judged, target * target).store(row + 2 * stride_ + i);
      (judged * target).store(row + 3 * stride_ + i);
    }
    Real* blurred = ring_row<kForwardMaps>(forward_ring_, r);
    for (int m = 0; m < kForwardMaps; ++m) blur_row(row + m * stride_, blurred + m * stride_);
  }

  // SSIM at row q, all rows q - 5 to q + 5 having been taken.
  void compare_row(int q, bool count) {
    if (q < 0 || q >= f_.height) return clear_row<kBackwardMaps>(backward_ring_, q);
    const Real* weights = weights_row(q);
    const Rows rows = rows_around<kForwardMaps>(forward_ring_, q);
    const V<Real> coefficient(Real(-f_.ssim_weight * f_.scale));
    V<Real> sum(Real(0));
    for (int i = 0; i < length_; i += kWide) {
      const SsimMoments<V<Real>> moments{blur_column(rows, i), blur_column(rows, i + stride_),
                                         blur_column(rows, i + 2 * stride_), blur_column(rows, i + 3 * stride_)};
      const auto point = ssim_point(moments);
      const V<Real> weight = V<Real>::load(weights + i);  // zero past the end of the row
      sum = sum + weight * point.value;
      const V<Real> g = coefficient * weight;
      Real* out = backward_rows_ + kRowPadding + i;
      (g * point.d_mean_x).store(out);
      (g * point.d_squares).store(out + stride_);
      (g * point.d_product).store(out + 2 * stride_);
    }
    if (count) f_.row_ssim[q] = double(horizontal_sum(sum));
    if (!f_.gradient) return;
    Real* blurred = ring_row<kBackwardMaps>(backward_ring_, q);
    for (int m = 0; m < kBackwardMaps; ++m) blur_row(backward_rows_ + m * stride_ + kRowPadding, blurred + m * stride_);
  }

  // Gradient at row p, SSIM at all rows p - 5 to p + 5 having been compared; and the sums of the differences.
  void finish_row(int p) {
    const Real *x = f_.rendered + size_t(p) * length_, *y = f_.target + size_t(p) * length_;
    const Real* weights = weights_row(p);
    const Rows rows = rows_around<kBackwardMaps>(backward_ring_, p);
    const V<Real> zero(Real(0)), l1(Real(f_.l1_weight * f_.scale));
    V<Real> distances = zero, squares = zero;
    for (int i = 0; i < length_; i += kWide) {
      const int left = length_ - i;
      const V<Real> rendered = load_row(x + i, left), target = load_row(y + i, left);
      const V<Real> difference = rendered - target, weight = V<Real>::load(weights + i);
      distances = multiply_add(weight, maximum(difference, -difference), distances);
      squares = multiply_add(weight * difference, difference, squares);
      if (!f_.gradient) continue;
      const V<Real> judged = judge(rendered, target, weight);
      V<Real> g = select(difference > zero, l1, zero) - select(difference < zero, l1, zero);
      g = g + blur_column(rows, i);
      g = multiply_add(judged + judged, blur_column(rows, i + stride_), g);
      g = multiply_add(target, blur_column(rows, i + 2 * stride_), g);
      store_row(weight * g, f_.gradient + size_t(p) * length_ + i, left);
    }
    f_.row_l1[p] = double(horizontal_sum(distances));
    f_.row_squares[p] = double(horizontal_sum(squares));
  }

 private:
  // The eleven rows around one, of all maps: map m of a row begins m * stride_ behind it.
  struct Rows {
    const Real* row[kWindow];
  };

  // Rings are (kWindow rows, maps, stride_).
  template <int kMaps>
  Real* ring_row(Real* ring, int r) const {
    return ring + size_t(r - begin_ + 2 * kWindow) % kWindow * kMaps * stride_;
  }

  const Real* weights_row(int r) const { return ring_row<1>(weights_ring_, r); }

  template <int kMaps>
  Rows rows_around(Real* ring, int centre) const {
    Rows rows;
    for (int k = 0; k < kWindow; ++k) rows.row[k] = ring_row<kMaps>(ring, centre + k - kHalfWindow);
    return rows;
  }

  template <int kMaps>
  void clear_row(Real* ring, int r) const {
    std::memset(ring_row<kMaps>(ring, r), 0, kMaps * stride_ * sizeof(Real));
  }

  // What the loss looks at: the photo itself where nothing counts.
  S3D_HD V<Real> judge(V<Real> rendered, V<Real> target, V<Real> weight) const {
    return f_.weights ? multiply_add(weight, rendered - target, target) : rendered;
  }

  void expand_weights(int r) {
    Real* out = ring_row<1>(weights_ring_, r);
    const Real* in = f_.weights + size_t(r) * f_.width;
    for (int x = 0; x < f_.width; ++x) out[3 * x] = out[3 * x + 1] = out[3 * x + 2] = in[x];
  }

  // Channels are interleaved: neighbours along a row are three values apart.
  void blur_row(const Real* in, Real* out) const {
    if constexpr (V<Real>::kParts == 1 && kWide >= kRowPadding) return blur_row_in_registers(in, out);
    for (int i = 0; i < length_; i += kWide) {
      V<Real> sum = V<Real>(Real(kWindowTaps[kHalfWindow])) * V<Real>::load(in + i);
      for (int k = 1; k <= kHalfWindow; ++k)
        sum = multiply_add(tap<Real>(k), V<Real>::load(in + i - 3 * k) + V<Real>::load(in + i + 3 * k), sum);
      sum.store(out + i);
    }
  }

  // The same where a register reaches as far as the window: neighbours are shifted out of three registers, since loads
  // of whole cache lines from in between them would touch two lines each.
  void blur_row_in_registers(const Real* in, Real* out) const {
    V<Real> before = V<Real>::load(in - kWide), here = V<Real>::load(in);
    for (int i = 0; i < length_; i += kWide) {
      const V<Real> behind = V<Real>::load(in + i + kWide);
      V<Real> sum = V<Real>(Real(kWindowTaps[kHalfWindow])) * here;
      sum = multiply_add(tap<Real>(1), shifted<kWide - 3>(before, here) + shifted<3>(here, behind), sum);
      sum = multiply_add(tap<Real>(2), shifted<kWide - 6>(before, here) + shifted<6>(here, behind), sum);
      sum = multiply_add(tap<Real>(3), shifted<kWide - 9>(before, here) + shifted<9>(here, behind), sum);
      sum = multiply_add(tap<Real>(4), shifted<kWide - 12>(before, here) + shifted<12>(here, behind), sum);
      sum = multiply_add(tap<Real>(5), shifted<kWide - 15>(before, here) + shifted<15>(here, behind), sum);
      sum.store(out + i);
      before = here;
      here = behind;
    }
  }

  S3D_HD V<Real> blur_column(const Rows& rows, size_t i) const {
    V<Real> sum = V<Real>(Real(kWindowTaps[kHalfWindow])) * V<Real>::load(rows.row[kHalfWindow] + i);
    for (int k = 1; k <= kHalfWindow; ++k)
      sum = multiply_add(tap<Real>(k),
                         V<Real>::load(rows.row[kHalfWindow - k] + i) + V<Real>::load(rows.row[kHalfWindow + k] + i),
                         sum);
    return sum;
  }

  const LossFrame<Real>& f_;
  int begin_, length_;
  size_t stride_;
  Real *forward_rows_, *forward_ring_, *backward_rows_, *backward_ring_, *weights_ring_;
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
