// The few scalar functions that the mathematics needs, under names that SIMD types overload (see simd.h).
// No template here branches on a value: `select` keeps one body valid for scalars, SIMD lanes and GPU threads.
#pragma once

#include <cmath>

#include "sparse3d/macros.h"

namespace s3d {
namespace S3D_ISA {

S3D_HD float select(bool m, float a, float b) { return m ? a : b; }
S3D_HD double select(bool m, double a, double b) { return m ? a : b; }
S3D_HD float minimum(float a, float b) { return a < b ? a : b; }
S3D_HD double minimum(double a, double b) { return a < b ? a : b; }
S3D_HD float maximum(float a, float b) { return a > b ? a : b; }
S3D_HD double maximum(double a, double b) { return a > b ? a : b; }
S3D_HD float square_root(float a) { return sqrtf(a); }
S3D_HD double square_root(double a) { return sqrt(a); }
S3D_HD float reciprocal(float a) { return 1.0f / a; }
S3D_HD double reciprocal(double a) { return 1.0 / a; }
S3D_HD float base2_log(float a) { return log2f(a); }
S3D_HD double base2_log(double a) { return log2(a); }
#if defined(__CUDA_ARCH__)
// One instruction with a relative error of 2^-22; results below 2^-126 are flushed to zero.
S3D_HD float base2_exp(float a) {
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(a));
  return r;
}
#else
S3D_HD float base2_exp(float a) { return exp2f(a); }
#endif
S3D_HD double base2_exp(double a) { return exp2(a); }

// a * b + c, contracted to one instruction where there is one. Written out wherever forward and backward must round
// alike.
template <class T>
S3D_HD T multiply_add(T a, T b, T c) {
  return a * b + c;
}
#if defined(__CUDA_ARCH__)
// Said outright, so that it is contracted alike in every kernel.
S3D_HD float multiply_add(float a, float b, float c) { return fmaf(a, b, c); }
S3D_HD double multiply_add(double a, double b, double c) { return fma(a, b, c); }
#endif

template <class T>
S3D_HD T clamp(T x, T low, T high) {
  return minimum(maximum(x, low), high);
}

}  // namespace S3D_ISA
}  // namespace s3d
