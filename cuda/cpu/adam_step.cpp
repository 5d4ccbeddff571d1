// The optimiser's step over all Gaussians, range by range: every element is computed alike at any number of threads.
#include <algorithm>
#include <cmath>

#include "adam_frame.h"
#include "dispatch.h"
#include "rasteriser.h"
#include "thread_pool.h"

namespace s3d {
namespace {

template <class Real>
AdamArray<Real> array(const s3d_adam_array& a) {
  return {static_cast<Real*>(a.values), static_cast<Real*>(a.first), static_cast<Real*>(a.second),
          static_cast<const Real*>(a.gradient), Real(a.rate)};
}

}  // namespace

template <class Real>
void splat_step(const s3d_splat_adam& s) {
  AdamFrame<Real> f;
  f.count = s.count;
  f.sh_coefficients = s.sh_coefficients;
  f.factors.beta1 = Real(s.beta1);
  f.factors.beta2 = Real(s.beta2);
  f.factors.gain1 = Real(1 - s.beta1);
  f.factors.gain2 = Real(1 - s.beta2);
  f.factors.epsilon = Real(s.epsilon);
  f.factors.first_correction = Real(1 / (1 - std::pow(s.beta1, double(s.iteration))));
  f.factors.second_correction = Real(1 / std::sqrt(1 - std::pow(s.beta2, double(s.iteration))));
  f.sh_rest_rate = Real(s.sh_rest_rate);
  f.means = array<Real>(s.means);
  f.quats = array<Real>(s.quats);
  f.log_scales = array<Real>(s.log_scales);
  f.logit_opacities = array<Real>(s.logit_opacities);
  f.sh = array<Real>(s.sh);
  f.mean_rates = static_cast<const Real*>(s.mean_rates);
  f.min_log_scales = static_cast<const Real*>(s.min_log_scales);
  f.max_log_scales = static_cast<const Real*>(s.max_log_scales);
  f.scales = static_cast<Real*>(s.scales);
  f.opacities = static_cast<Real*>(s.opacities);
  const Kernels<Real>& k = kernels<Real>();
  parallel_for(s.threads, (s.count + kChunk - 1) / kChunk,
               [&](int64_t chunk, int) { k.adam_range(f, chunk * kChunk, std::min((chunk + 1) * kChunk, s.count)); });
}

template void splat_step<float>(const s3d_splat_adam&);
template void splat_step<double>(const s3d_splat_adam&);

}  // namespace s3d
