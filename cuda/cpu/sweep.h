// Elementwise loops over arrays: one body for vectors and for the few values that are left at the end.
#pragma once

#include <cstdint>
#include <type_traits>

#include "sparse3d/simd.h"

namespace s3d {
namespace S3D_ISA {

template <class Real>
using V = Simd<Real, kWide>;

template <class T, class Real>
S3D_HD T load(const Real* p) {
  if constexpr (std::is_same_v<T, Real>)
    return *p;
  else
    return T::load(p);
}

template <class T, class Real>
S3D_HD void store(T x, Real* p) {
  if constexpr (std::is_same_v<T, Real>)
    *p = x;
  else
    x.store(p);
}

template <class T>
struct Lanes {
  using type = T;
};

// Calls body(index, Lanes<T>) for [begin, end), T being a vector of kWide values or a single one.
template <class Real, class Body>
S3D_HD void sweep(int64_t begin, int64_t end, Body body) {
  int64_t i = begin;
  for (; i + kWide <= end; i += kWide) body(i, Lanes<V<Real>>());
  for (; i < end; ++i) body(i, Lanes<Real>());
}

}  // namespace S3D_ISA
}  // namespace s3d
