// What a step of the optimiser hands to the kernels of one instruction set.
#pragma once

#include <cstdint>

#include "sparse3d/adam.h"

namespace s3d {

template <class Real>
struct AdamArray {
  Real *values, *first, *second;
  const Real* gradient;  // to what is drawn
  Real rate;             // 0: left as it is
};

template <class Real>
struct AdamFrame {
  int64_t count;
  int sh_coefficients;
  AdamFactors<Real> factors;
  Real sh_rest_rate;
  AdamArray<Real> means, quats, log_scales, logit_opacities, sh;
  const Real *mean_rates, *min_log_scales, *max_log_scales;  // (n, 3)
  Real *scales, *opacities;
};

// Steps the Gaussians [begin, end).
template <class Real>
using AdamRange = void (*)(const AdamFrame<Real>&, int64_t begin, int64_t end);

}  // namespace s3d
