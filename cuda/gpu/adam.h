// The optimiser's step over all Gaussians.
#pragma once

#include "platform.h"
#include "sparse3d/adam.h"
#include "sparse3d/c_api.h"

namespace s3d {
namespace gpu {

// Factors of a step, from the iteration's number (1 for the first).
template <class Real>
S3D_HD AdamFactors<Real> adam_factors(const s3d_splat_adam& step, int iteration) {
  AdamFactors<Real> f;
  f.beta1 = Real(step.beta1);
  f.beta2 = Real(step.beta2);
  f.gain1 = Real(1 - step.beta1);
  f.gain2 = Real(1 - step.beta2);
  f.epsilon = Real(step.epsilon);
  f.first_correction = Real(1 / (1 - pow(step.beta1, double(iteration))));
  f.second_correction = Real(1 / sqrt(1 - pow(step.beta2, double(iteration))));
  return f;
}

// `iteration` and `factors` are the device's, or null: then the step's own iteration counts.
template <class Real>
void splat_step(const s3d_splat_adam& step, const int32_t* iteration, AdamFactors<Real>* factors, cudaStream_t stream);

}  // namespace gpu
}  // namespace s3d
