// A vector of W lanes over the compiler's portable vector extension (GCC, Clang): the value type T of the mathematics
// on a CPU. The compiler splits it into what the instruction set has, so the same source serves SSE, AVX, AVX-512 and
// NEON.
#pragma once

#include <cstdint>

#include "sparse3d/scalar.h"

namespace s3d {
namespace S3D_ISA {

template <class T>
struct LaneInteger;
template <>
struct LaneInteger<float> {
  using type = int32_t;
};
template <>
struct LaneInteger<double> {
  using type = int64_t;
};

// The vector types stand in a struct of their own: inside Simd the compiler would take them for T itself.
template <class T, int W>
struct LaneVector {
  typedef T type __attribute__((vector_size(W * sizeof(T))));
  typedef T unaligned __attribute__((vector_size(W * sizeof(T)), aligned(sizeof(T)), may_alias));
};

template <class T, int W>
struct Mask {
  using Raw = typename LaneVector<typename LaneInteger<T>::type, W>::type;
  Raw v;
  friend S3D_HD Mask operator&(Mask a, Mask b) { return {a.v & b.v}; }
  friend S3D_HD Mask operator|(Mask a, Mask b) { return {a.v | b.v}; }
};

template <class T, int W>
struct Simd {
  using Raw = typename LaneVector<T, W>::type;
  using Unaligned = typename LaneVector<T, W>::unaligned;
  static constexpr int kLanes = W;
  using Scalar = T;
  Raw v;

  Simd() = default;
  S3D_HD Simd(Raw raw) : v(raw) {}
  S3D_HD Simd(T s) : v(s - Raw{}) {}

  static S3D_HD Simd load(const T* p) { return Simd(Raw(*reinterpret_cast<const Unaligned*>(p))); }
  S3D_HD void store(T* p) const { *reinterpret_cast<Unaligned*>(p) = v; }
  static S3D_HD Simd iota() {
    Raw r;
    for (int i = 0; i < W; ++i) r[i] = T(i);
    return r;
  }

  friend S3D_HD Simd operator+(Simd a, Simd b) { return a.v + b.v; }
  friend S3D_HD Simd operator-(Simd a, Simd b) { return a.v - b.v; }
  friend S3D_HD Simd operator*(Simd a, Simd b) { return a.v * b.v; }
  friend S3D_HD Simd operator/(Simd a, Simd b) { return a.v / b.v; }
  friend S3D_HD Simd operator-(Simd a) { return -a.v; }
  friend S3D_HD Mask<T, W> operator<(Simd a, Simd b) { return {a.v < b.v}; }
  friend S3D_HD Mask<T, W> operator>(Simd a, Simd b) { return {a.v > b.v}; }
  friend S3D_HD Mask<T, W> operator>=(Simd a, Simd b) { return {a.v >= b.v}; }
  friend S3D_HD Mask<T, W> operator==(Simd a, Simd b) { return {a.v == b.v}; }

  friend S3D_HD Simd select(Mask<T, W> m, Simd a, Simd b) { return m.v ? a.v : b.v; }
  friend S3D_HD Simd minimum(Simd a, Simd b) { return a.v < b.v ? a.v : b.v; }
  friend S3D_HD Simd maximum(Simd a, Simd b) { return a.v > b.v ? a.v : b.v; }
  friend S3D_HD Simd square_root(Simd a) {
    Raw r;
    for (int i = 0; i < W; ++i) r[i] = square_root(a.v[i]);
    return r;
  }
};

// 2^x by a minimax polynomial of degree 5 on [-1/2, 1/2] (relative error 7.5e-8; degree 4 would cost ten times the
// gradient's error). Valid for -126 < x < 127; the callers mask what lies outside.
template <int W>
S3D_HD Simd<float, W> base2_exp(Simd<float, W> x) {
  using V = Simd<float, W>;
  using Integers = typename Mask<float, W>::Raw;
  const V magic(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer that stands in the low bits
  const V shifted = x + magic;
  const V f = x - (shifted - magic);
  V p = multiply_add(V(1.3276471992533978e-3f), f, V(9.675541334453752e-3f));
  p = multiply_add(p, f, V(5.5507132734978495e-2f));
  p = multiply_add(p, f, V(0.24022119723839974f));
  p = multiply_add(p, f, V(0.6931469670647609f));
  p = multiply_add(p, f, V(1.0000000716546849f));
  const Integers bits = Integers(p.v) + (Integers(shifted.v) << 23);
  return V(typename V::Raw(bits));
}

// log2 of a positive, normal x: exponent plus 2 / ln(2) * atanh((m - 1) / (m + 1)) with the mantissa m in [0.7, 1.4].
template <int W>
S3D_HD Simd<float, W> base2_log(Simd<float, W> x) {
  using V = Simd<float, W>;
  using Integers = typename Mask<float, W>::Raw;
  const Integers half_root = Integers{} + 0x3f3504f3;  // bits of sqrt(1/2)
  const Integers exponent = (Integers(x.v) - half_root) >> 23;
  const V m(typename V::Raw(Integers(x.v) - (exponent << 23)));
  const V s = (m - V(1.0f)) / (m + V(1.0f));
  const V ss = s * s;
  V p = multiply_add(V(0.32059889f), ss, V(0.41219858f));  // 2 / ln(2) / (9, 7, 5, 3, 1)
  p = multiply_add(p, ss, V(0.57707802f));
  p = multiply_add(p, ss, V(0.96179669f));
  p = multiply_add(p, ss, V(2.8853900f));
  return multiply_add(p, s, V(__builtin_convertvector(exponent, typename V::Raw)));
}

// float64 is the test instrument: exact rather than fast.
template <int W>
S3D_HD Simd<double, W> base2_log(Simd<double, W> x) {
  typename Simd<double, W>::Raw r;
  for (int i = 0; i < W; ++i) r[i] = log2(x.v[i]);
  return r;
}

template <int W>
S3D_HD Simd<double, W> base2_exp(Simd<double, W> x) {
  typename Simd<double, W>::Raw r;
  for (int i = 0; i < W; ++i) r[i] = exp2(x.v[i]);
  return r;
}

template <class T, int W>
S3D_HD T horizontal_sum(Simd<T, W> a) {
  T s = 0;
  for (int i = 0; i < W; ++i) s += a.v[i];
  return s;
}

// Sums eight vectors of eight lanes each; lane i of the result is the sum of a[i].
template <class T>
S3D_HD Simd<T, 8> horizontal_sums(const Simd<T, 8> (&a)[8]) {
  typename Simd<T, 8>::Raw b[4], c[2];
  for (int i = 0; i < 4; ++i)
    b[i] = __builtin_shufflevector(a[i].v, a[i + 4].v, 0, 1, 2, 3, 8, 9, 10, 11) +
           __builtin_shufflevector(a[i].v, a[i + 4].v, 4, 5, 6, 7, 12, 13, 14, 15);
  for (int i = 0; i < 2; ++i)
    c[i] = __builtin_shufflevector(b[i], b[i + 2], 0, 1, 8, 9, 4, 5, 12, 13) +
           __builtin_shufflevector(b[i], b[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
  return __builtin_shufflevector(c[0], c[1], 0, 8, 2, 10, 4, 12, 6, 14) +
         __builtin_shufflevector(c[0], c[1], 1, 9, 3, 11, 5, 13, 7, 15);
}

}  // namespace S3D_ISA
}  // namespace s3d
