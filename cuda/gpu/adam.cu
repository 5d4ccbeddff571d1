// One step of Adam: the activations' chain rule, the update, the bounds and what is drawn next, one thread per value.
#include "adam.h"
#include "sparse3d/constants.h"

namespace s3d {
namespace gpu {

using namespace s3d::S3D_ISA;

namespace {

constexpr int kAdamThreads = 256;

template <class Real>
__global__ void factors_kernel(s3d_splat_adam step, const int32_t* iteration, AdamFactors<Real>* out) {
  *out = adam_factors<Real>(step, *iteration);
}

template <class Real>
__device__ __forceinline__ const Real* in(const void* p) {
  return static_cast<const Real*>(p);
}
template <class Real>
__device__ __forceinline__ Real* out(void* p) {
  return static_cast<Real*>(p);
}

// The new value of element i, not yet stored.
template <class Real>
__device__ Real stepped(const AdamFactors<Real>& factors, const s3d_adam_array& a, int64_t i, Real gradient,
                        Real rate) {
  Real first = in<Real>(a.first)[i], second = in<Real>(a.second)[i];
  const Real fall = adam_fall(factors, gradient, rate, &first, &second);
  out<Real>(a.first)[i] = first;
  out<Real>(a.second)[i] = second;
  return in<Real>(a.values)[i] - fall;
}

// Held where neither it nor its inverse leaves float32.
template <class Real>
__device__ Real exponential(Real x) {
  return base2_exp(clamp(x * Real(kLog2E), Real(-125), Real(125)));
}

template <class Real>
__device__ void step_scale(const s3d_splat_adam& s, const AdamFactors<Real>& factors, int64_t i) {
  const s3d_adam_array& a = s.log_scales;
  const Real gradient = in<Real>(a.gradient)[i] * in<Real>(s.scales)[i];
  const Real log_scale = clamp(stepped(factors, a, i, gradient, Real(a.rate)), in<Real>(s.min_log_scales)[i],
                               in<Real>(s.max_log_scales)[i]);
  out<Real>(a.values)[i] = log_scale;
  out<Real>(s.scales)[i] = exponential(log_scale);
}

template <class Real>
__device__ void step_opacity(const s3d_splat_adam& s, const AdamFactors<Real>& factors, int64_t i) {
  const s3d_adam_array& a = s.logit_opacities;
  const Real one(1), opacity = in<Real>(s.opacities)[i];
  const Real gradient = in<Real>(a.gradient)[i] * opacity * (one - opacity);
  const Real logit = stepped(factors, a, i, gradient, Real(a.rate));
  out<Real>(a.values)[i] = logit;
  out<Real>(s.opacities)[i] = one / (one + exponential(-logit));
}

// Where drawn and optimised values are the same.
template <class Real>
__device__ void step_plain(const s3d_adam_array& a, const AdamFactors<Real>& factors, int64_t i, Real rate) {
  out<Real>(a.values)[i] = stepped(factors, a, i, in<Real>(a.gradient)[i], rate);
}

// The arrays one after another: means, quaternions, scales, opacities, coefficients.
template <class Real>
__global__ __launch_bounds__(kAdamThreads) void step_kernel(s3d_splat_adam s, AdamFactors<Real> given,
                                                            const AdamFactors<Real>* stored) {
  const AdamFactors<Real> factors = stored ? *stored : given;
  int64_t i = int64_t(blockIdx.x) * kAdamThreads + threadIdx.x;
  if (i < 3 * s.count) {
    if (s.means.rate != 0) step_plain(s.means, factors, i, Real(s.means.rate) * in<Real>(s.mean_rates)[i]);
    return;
  }
  i -= 3 * s.count;
  if (i < 4 * s.count) {
    if (s.quats.rate != 0) step_plain(s.quats, factors, i, Real(s.quats.rate));
    return;
  }
  i -= 4 * s.count;
  if (i < 3 * s.count) {
    if (s.log_scales.rate != 0) step_scale(s, factors, i);
    return;
  }
  i -= 3 * s.count;
  if (i < s.count) {
    if (s.logit_opacities.rate != 0) step_opacity(s, factors, i);
    return;
  }
  i -= s.count;
  const int row = 3 * s.sh_coefficients;
  if (i >= row * s.count || (s.sh.rate == 0 && s.sh_rest_rate == 0)) return;
  step_plain(s.sh, factors, i, Real(i % row < 3 ? s.sh.rate : s.sh_rest_rate));
}

}  // namespace

template <class Real>
void splat_step(const s3d_splat_adam& step, const int32_t* iteration, AdamFactors<Real>* factors, cudaStream_t stream) {
  const AdamFactors<Real> given = adam_factors<Real>(step, step.iteration);
  if (iteration) launch("preparing a step", factors_kernel<Real>, 1, 1, stream, step, iteration, factors);
  const int64_t values = step.count * (3 + 4 + 3 + 1 + 3 * step.sh_coefficients);
  launch("stepping", step_kernel<Real>, blocks_for(values, kAdamThreads), kAdamThreads, stream, step, given,
         static_cast<const AdamFactors<Real>*>(iteration ? factors : nullptr));
}

template void splat_step<float>(const s3d_splat_adam&, const int32_t*, AdamFactors<float>*, cudaStream_t);
#ifdef S3D_WITH_DOUBLE
template void splat_step<double>(const s3d_splat_adam&, const int32_t*, AdamFactors<double>*, cudaStream_t);
#endif

}  // namespace gpu
}  // namespace s3d
