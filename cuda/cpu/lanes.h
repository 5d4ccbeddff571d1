// Moves between arrays of structures in memory and one SIMD vector per component.
#pragma once

#include "frame.h"
#include "sparse3d/simd.h"

namespace s3d {
namespace S3D_ISA {

// Eight consecutive elements of an array of structs. Lanes past the end repeat the last element; stores leave them out.
struct LaneRange {
  int64_t first;
  int active;  // 1 to kLanes

  S3D_HD int64_t element(int lane) const { return first + (lane < active ? lane : active - 1); }
};

template <class Real>
S3D_HD Simd<Real, kLanes> gather(const Real* base, int stride, int component, LaneRange lanes) {
  Simd<Real, kLanes> r{Real(0)};
  if (__builtin_expect(lanes.active == kLanes, 1)) {
    const Real* p = base + lanes.first * stride + component;
    for (int i = 0; i < kLanes; ++i) r.set(i, p[i * stride]);
  } else {
    for (int i = 0; i < kLanes; ++i) r.set(i, base[lanes.element(i) * stride + component]);
  }
  return r;
}

template <class Real>
S3D_HD void scatter(Real* base, int stride, int component, LaneRange lanes, Simd<Real, kLanes> v, bool accumulate) {
  Real* p = base + lanes.first * stride + component;
  if (accumulate) {
    for (int i = 0; i < lanes.active; ++i) p[i * stride] += v[i];
  } else {
    for (int i = 0; i < lanes.active; ++i) p[i * stride] = v[i];
  }
}

template <class Real>
S3D_HD Vec3<Simd<Real, kLanes>> gather3(const Real* base, LaneRange lanes) {
  return {gather(base, 3, 0, lanes), gather(base, 3, 1, lanes), gather(base, 3, 2, lanes)};
}

template <class Real>
S3D_HD void scatter3(Real* base, LaneRange lanes, Vec3<Simd<Real, kLanes>> v, bool accumulate) {
  scatter(base, 3, 0, lanes, v.x, accumulate);
  scatter(base, 3, 1, lanes, v.y, accumulate);
  scatter(base, 3, 2, lanes, v.z, accumulate);
}

// True where a lane is neither NaN nor infinite.
template <class Real, int W>
S3D_HD Mask<Real, W> is_finite(Simd<Real, W> a) {
  return (a - a) == Simd<Real, W>(Real(0));
}

}  // namespace S3D_ISA
}  // namespace s3d
