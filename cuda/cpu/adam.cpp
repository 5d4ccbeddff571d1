// One step of Adam over a range of Gaussians: the activations' chain rule, the update, the bounds and what is drawn
// next, in one sweep over each array.
#include "sparse3d/adam.h"

#include "kernels.h"
#include "sparse3d/constants.h"
#include "sweep.h"

namespace s3d {
namespace S3D_ISA {
namespace {

constexpr int kMaxRow = 48;  // three colours of 16 coefficients

// The new value of element i, not yet stored.
template <class T, class Real>
S3D_HD T stepped(const AdamFactors<Real>& factors, const AdamArray<Real>& a, int64_t i, T gradient, T rate) {
  T first = load<T>(a.first + i), second = load<T>(a.second + i);
  const T fall = adam_fall(factors, gradient, rate, &first, &second);
  store(first, a.first + i);
  store(second, a.second + i);
  return load<T>(a.values + i) - fall;
}

// Within the range that base2_exp is valid for.
template <class T>
S3D_HD T exponential(T x) {
  return base2_exp(clamp(x * T(kLog2E), T(-125), T(125)));
}

template <class Real>
void step_means(const AdamFrame<Real>& f, int64_t begin, int64_t end) {
  const AdamArray<Real>& a = f.means;
  sweep<Real>(3 * begin, 3 * end, [&](int64_t i, auto lanes) {
    using T = typename decltype(lanes)::type;
    const T rate = T(a.rate) * load<T>(f.mean_rates + i);
    store(stepped(f.factors, a, i, load<T>(a.gradient + i), rate), a.values + i);
  });
}

template <class Real>
void step_quats(const AdamFrame<Real>& f, int64_t begin, int64_t end) {
  const AdamArray<Real>& a = f.quats;
  sweep<Real>(4 * begin, 4 * end, [&](int64_t i, auto lanes) {
    using T = typename decltype(lanes)::type;
    store(stepped(f.factors, a, i, load<T>(a.gradient + i), T(a.rate)), a.values + i);
  });
}

template <class Real>
void step_scales(const AdamFrame<Real>& f, int64_t begin, int64_t end) {
  const AdamArray<Real>& a = f.log_scales;
  sweep<Real>(3 * begin, 3 * end, [&](int64_t i, auto lanes) {
    using T = typename decltype(lanes)::type;
    const T gradient = load<T>(a.gradient + i) * load<T>(f.scales + i);
    const T log_scale = clamp(stepped(f.factors, a, i, gradient, T(a.rate)), load<T>(f.min_log_scales + i),
                              load<T>(f.max_log_scales + i));
    store(log_scale, a.values + i);
    store(exponential(log_scale), f.scales + i);
  });
}

template <class Real>
void step_opacities(const AdamFrame<Real>& f, int64_t begin, int64_t end) {
  const AdamArray<Real>& a = f.logit_opacities;
  sweep<Real>(begin, end, [&](int64_t i, auto lanes) {
    using T = typename decltype(lanes)::type;
    const T one(1), opacity = load<T>(f.opacities + i);
    const T gradient = load<T>(a.gradient + i) * opacity * (one - opacity);
    const T logit = stepped(f.factors, a, i, gradient, T(a.rate));
    store(logit, a.values + i);
    store(one / (one + exponential(-logit)), f.opacities + i);
  });
}

// A row of coefficients has two rates: a table that repeats it serves a vector that starts anywhere in a row.
template <class Real>
void step_sh(const AdamFrame<Real>& f, int64_t begin, int64_t end) {
  const AdamArray<Real>& a = f.sh;
  const int row = 3 * f.sh_coefficients;
  Real rates[kMaxRow + kWide];
  for (int i = 0; i < row + kWide; ++i) rates[i] = i % row < 3 ? a.rate : f.sh_rest_rate;
  sweep<Real>(row * begin, row * end, [&](int64_t i, auto lanes) {
    using T = typename decltype(lanes)::type;
    const T rate = load<T>(rates + i % row);
    store(stepped(f.factors, a, i, load<T>(a.gradient + i), rate), a.values + i);
  });
}

}  // namespace

template <class Real>
void adam_range(const AdamFrame<Real>& frame, int64_t begin, int64_t end) {
  const Real none(0);
  if (frame.means.rate != none) step_means(frame, begin, end);
  if (frame.quats.rate != none) step_quats(frame, begin, end);
  if (frame.log_scales.rate != none) step_scales(frame, begin, end);
  if (frame.logit_opacities.rate != none) step_opacities(frame, begin, end);
  if (frame.sh.rate != none || frame.sh_rest_rate != none) step_sh(frame, begin, end);
}

template void adam_range<float>(const AdamFrame<float>&, int64_t, int64_t);
#ifdef S3D_WITH_DOUBLE
template void adam_range<double>(const AdamFrame<double>&, int64_t, int64_t);
#endif

}  // namespace S3D_ISA
}  // namespace s3d
