// The depth loss over a range of pixels: first the weights' sum, by which everything is divided, then error and
// gradient.
#include "kernels.h"
#include "sparse3d/robust_depth.h"
#include "sweep.h"

namespace s3d {
namespace S3D_ISA {
namespace {

template <class T, class Real>
S3D_HD T weight_at(const DepthFrame<Real>& f, int64_t i) {
  const T zero(0), confidence = load<T>(f.confidence + i);
  const auto counts = (load<T>(f.known + i) > zero) & (load<T>(f.alpha + i) > T(f.min_alpha));
  return select(counts, confidence, zero);
}

// Sums in vectors and, for what is left of a range, in one value.
template <class Real>
struct Sum {
  V<Real> lanes = V<Real>(Real(0));
  Real rest = 0;
  S3D_HD void add(V<Real> x) { lanes = lanes + x; }
  S3D_HD void add(Real x) { rest += x; }
  double total() const { return double(horizontal_sum(lanes)) + double(rest); }
};

}  // namespace

template <class Real>
double depth_weights(const DepthFrame<Real>& f, int64_t begin, int64_t end) {
  Sum<Real> sum;
  sweep<Real>(begin, end, [&](int64_t i, auto lanes) {
    using T = typename decltype(lanes)::type;
    sum.add(weight_at<T>(f, i));
  });
  return sum.total();
}

template <class Real>
double depth_errors(const DepthFrame<Real>& f, int64_t begin, int64_t end) {
  Sum<Real> sum;
  sweep<Real>(begin, end, [&](int64_t i, auto lanes) {
    using T = typename decltype(lanes)::type;
    const T zero(0), weight = weight_at<T>(f, i);
    const auto counts = weight > zero;
    const T known = select(counts, load<T>(f.known + i), T(1));
    const T rendered = select(counts, load<T>(f.rendered + i), known);
    const auto error = depth_error(rendered, known, T(f.softness), T(f.cutoff));
    sum.add(weight * error.value);
    if (f.gradient) store(T(f.gradient_scale) * weight * error.derivative, f.gradient + i);
  });
  return sum.total();
}

template double depth_weights<float>(const DepthFrame<float>&, int64_t, int64_t);
template double depth_errors<float>(const DepthFrame<float>&, int64_t, int64_t);
#ifdef S3D_WITH_DOUBLE
template double depth_weights<double>(const DepthFrame<double>&, int64_t, int64_t);
template double depth_errors<double>(const DepthFrame<double>&, int64_t, int64_t);
#endif

}  // namespace S3D_ISA
}  // namespace s3d
