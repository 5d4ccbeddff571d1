// Reading images at places that differ from lane to lane.
#pragma once

#include <cstdint>

#include "sparse3d/simd.h"

namespace s3d {
namespace S3D_ISA {
namespace detail {

// A value of four bytes from each lane's place.
template <class P, class I, class Value>
S3D_HD P gather_part(const Value* base, I index) {
  P r;
  constexpr int kCount = int(sizeof(I) / sizeof(index[0]));
  for (int k = 0; k < kCount; ++k) r[k] = base[index[k]];
  return r;
}
#if defined(__AVX2__)
template <>
S3D_HD __m256 gather_part(const float* base, typename LaneVector<int32_t, 8>::type index) {
  return _mm256_i32gather_ps(base, (__m256i)index, 4);
}
template <>
S3D_HD typename LaneVector<int32_t, 8>::type gather_part(const uint32_t* base,
                                                         typename LaneVector<int32_t, 8>::type index) {
  return (typename LaneVector<int32_t, 8>::type)_mm256_i32gather_epi32(reinterpret_cast<const int*>(base),
                                                                       (__m256i)index, 4);
}
#endif
#if defined(__AVX512F__)
template <>
S3D_HD __m512 gather_part(const float* base, typename LaneVector<int32_t, 16>::type index) {
  return _mm512_i32gather_ps((__m512i)index, base, 4);
}
template <>
S3D_HD typename LaneVector<int32_t, 16>::type gather_part(const uint32_t* base,
                                                          typename LaneVector<int32_t, 16>::type index) {
  return (typename LaneVector<int32_t, 16>::type)_mm512_i32gather_epi32((__m512i)index, base, 4);
}
#endif

}  // namespace detail

template <class T, int W>
S3D_HD bool any(Mask<T, W> m) {
  auto joined = m.part[0];
  for (int i = 1; i < Mask<T, W>::kParts; ++i) joined |= m.part[i];
  bool found = false;
  for (int k = 0; k < Mask<T, W>::kNative; ++k) found |= joined[k] != 0;
  return found;
}

// See the scalar functions of these names in patchmatch.h.
template <class T, int W>
S3D_HD Simd<T, W> bilinear(const uint32_t* quads, int width, Simd<T, W> x, Simd<T, W> y) {
  using Integers = typename Mask<T, W>::Part;
  using Part = typename Simd<T, W>::Part;
  Simd<T, W> r;
  for (int i = 0; i < Simd<T, W>::kParts; ++i) {
    const Integers left = __builtin_convertvector(x.part[i], Integers);
    const Integers top = __builtin_convertvector(y.part[i], Integers);
    const Part fx = x.part[i] - __builtin_convertvector(left, Part);
    const Part fy = y.part[i] - __builtin_convertvector(top, Part);
    const Integers q = detail::gather_part<Integers>(quads, Integers(top * width + left));
    const Part a = __builtin_convertvector(q & 255, Part), b = __builtin_convertvector((q >> 8) & 255, Part);
    const Part c = __builtin_convertvector((q >> 16) & 255, Part), d = __builtin_convertvector((q >> 24) & 255, Part);
    const Part upper = fx * (b - a) + a, lower = fx * (d - c) + c;
    r.part[i] = fy * (lower - upper) + upper;
  }
  return r;
}

template <class T, int W>
S3D_HD Simd<T, W> nearest(const T* map, int width, Simd<T, W> x, Simd<T, W> y) {
  using Integers = typename Mask<T, W>::Part;
  using Part = typename Simd<T, W>::Part;
  Simd<T, W> r;
  for (int i = 0; i < Simd<T, W>::kParts; ++i) {
    const Integers column = __builtin_convertvector(x.part[i] + T(0.5), Integers);
    const Integers row = __builtin_convertvector(y.part[i] + T(0.5), Integers);
    r.part[i] = detail::gather_part<Part>(map, Integers(row * width + column));
  }
  return r;
}

}  // namespace S3D_ISA
}  // namespace s3d
