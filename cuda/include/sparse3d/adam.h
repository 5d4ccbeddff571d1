// Adam (Kingma and Ba 2015, algorithm 1) for one value, on any value type.
#pragma once

#include "sparse3d/scalar.h"

namespace s3d {

// What every value of a step shares. The corrections make up for moments that started at zero.
template <class Real>
struct AdamFactors {
  Real beta1, beta2, epsilon;
  Real gain1, gain2;       // 1 - beta1, 1 - beta2: taken in double, for 1 - 0.999f is off by 1e-5
  Real first_correction;   // 1 / (1 - beta1^t)
  Real second_correction;  // 1 / sqrt(1 - beta2^t)
};

namespace S3D_ISA {

// Takes a gradient into the moments and returns by how much the value falls.
template <class T, class Real>
S3D_HD T adam_fall(const AdamFactors<Real>& f, T gradient, T rate, T* first, T* second) {
  *first = multiply_add(T(f.beta1), *first, T(f.gain1) * gradient);
  *second = multiply_add(T(f.beta2), *second, T(f.gain2) * gradient * gradient);
  const T spread = multiply_add(square_root(*second), T(f.second_correction), T(f.epsilon));
  return rate * T(f.first_correction) * *first / spread;
}

}  // namespace S3D_ISA
}  // namespace s3d
