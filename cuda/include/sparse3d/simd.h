// A vector of W lanes over the compiler's portable vector extension (GCC, Clang): the value type T of the mathematics
// on a CPU. It holds as many native registers as W lanes take, so the same source serves SSE, NEON, AVX and AVX-512.
// (The compiler can split longer vectors by itself, but then compares and selects lane by lane.)
#pragma once

#include <cstdint>
#include <utility>

#include "sparse3d/scalar.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace s3d {
namespace S3D_ISA {

#if defined(__AVX512F__)
constexpr int kRegisterBytes = 64;
#elif defined(__AVX__)
constexpr int kRegisterBytes = 32;
#else
constexpr int kRegisterBytes = 16;
#endif

// Lanes of work that goes element by element: a register of float32, or two where they are short.
#if defined(__AVX512F__)
constexpr int kWide = 16;
#else
constexpr int kWide = 8;
#endif

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
constexpr int native_lanes() {
  return W * int(sizeof(T)) < kRegisterBytes ? W : kRegisterBytes / int(sizeof(T));
}

template <class T, int W>
struct Mask {
  static constexpr int kNative = native_lanes<T, W>(), kParts = W / kNative;
  using Part = typename LaneVector<typename LaneInteger<T>::type, kNative>::type;
  Part part[kParts];

  S3D_HD bool operator[](int lane) const { return part[lane / kNative][lane % kNative] != 0; }
  S3D_HD void set(int lane, bool value) { part[lane / kNative][lane % kNative] = value ? -1 : 0; }
  friend S3D_HD Mask operator&(Mask a, Mask b) {
    for (int i = 0; i < kParts; ++i) a.part[i] &= b.part[i];
    return a;
  }
  friend S3D_HD Mask operator|(Mask a, Mask b) {
    for (int i = 0; i < kParts; ++i) a.part[i] |= b.part[i];
    return a;
  }
  friend S3D_HD Mask operator~(Mask a) {
    for (int i = 0; i < kParts; ++i) a.part[i] = ~a.part[i];
    return a;
  }
};

namespace detail {

// a < b ? a : b, which the compiler does not make one instruction of without being told.
template <class P>
S3D_HD P part_minimum(P a, P b) {
  return a < b ? a : b;
}
template <class P>
S3D_HD P part_maximum(P a, P b) {
  return a > b ? a : b;
}
#if defined(__SSE2__)
S3D_HD __m128 part_minimum(__m128 a, __m128 b) { return _mm_min_ps(a, b); }
S3D_HD __m128 part_maximum(__m128 a, __m128 b) { return _mm_max_ps(a, b); }
#endif
#if defined(__AVX__)
S3D_HD __m256 part_minimum(__m256 a, __m256 b) { return _mm256_min_ps(a, b); }
S3D_HD __m256 part_maximum(__m256 a, __m256 b) { return _mm256_max_ps(a, b); }
#endif
#if defined(__AVX512F__)
S3D_HD __m512 part_minimum(__m512 a, __m512 b) { return _mm512_min_ps(a, b); }
S3D_HD __m512 part_maximum(__m512 a, __m512 b) { return _mm512_max_ps(a, b); }
#endif

// 1 / a, of normal numbers. Dividing sixteen lanes takes as long as ten multiplications.
template <class P>
S3D_HD P part_reciprocal(P a) {
  return 1 / a;
}
#if defined(__AVX512F__)
S3D_HD __m512 part_reciprocal(__m512 a) {
  const __m512 r = _mm512_rcp14_ps(a);
  return r * (2.0f - a * r);  // Newton's step: 14 bits become 28
}
#endif

}  // namespace detail

template <class T, int W>
struct Simd {
  static constexpr int kLanes = W, kNative = native_lanes<T, W>(), kParts = W / kNative;
  using Part = typename LaneVector<T, kNative>::type;
  using Unaligned = typename LaneVector<T, kNative>::unaligned;
  Part part[kParts];

  Simd() = default;
  S3D_HD Simd(T s) {
    for (int i = 0; i < kParts; ++i) part[i] = s - Part{};
  }

  static S3D_HD Simd load(const T* p) {
    Simd r;
    for (int i = 0; i < kParts; ++i) r.part[i] = *reinterpret_cast<const Unaligned*>(p + i * kNative);
    return r;
  }
  S3D_HD void store(T* p) const {
    for (int i = 0; i < kParts; ++i) *reinterpret_cast<Unaligned*>(p + i * kNative) = part[i];
  }
  // Values `stride` apart.
  static S3D_HD Simd load_strided(const T* p, int stride) {
    Simd r;
    for (int i = 0; i < kParts; ++i)
      r.part[i] = collect(p + i * kNative * stride, stride, std::make_integer_sequence<int, kNative>());
    return r;
  }
  // Four neighbouring values from each of W / 4 places, `stride` apart.
  static S3D_HD Simd load_fours(const T* p, int stride) {
    Simd r;
    constexpr int kFours = kNative / 4;
    for (int i = 0; i < kParts; ++i) {
      if constexpr (kFours >= 1) {
        typename LaneVector<T, 4>::type four[kFours];
        for (int k = 0; k < kFours; ++k)
          four[k] = *reinterpret_cast<const typename LaneVector<T, 4>::unaligned*>(p + (i * kFours + k) * stride);
        if constexpr (kFours == 1) r.part[i] = four[0];
        if constexpr (kFours == 2) r.part[i] = __builtin_shufflevector(four[0], four[1], 0, 1, 2, 3, 4, 5, 6, 7);
        if constexpr (kFours == 4) {
          const auto low = __builtin_shufflevector(four[0], four[1], 0, 1, 2, 3, 4, 5, 6, 7);
          const auto high = __builtin_shufflevector(four[2], four[3], 0, 1, 2, 3, 4, 5, 6, 7);
          r.part[i] = __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        }
      } else {
        for (int k = 0; k < kNative; ++k) {
          const int lane = i * kNative + k;
          r.set(lane, p[lane / 4 * stride + lane % 4]);
        }
      }
    }
    return r;
  }
  // For what is used more than once: GCC would read it from memory each time.
  static S3D_HD Simd load_once(const T* p) {
    Simd r = load(p);
#if defined(__SSE2__)
    for (int i = 0; i < kParts; ++i) __asm__("" : "+v"(r.part[i]));
#endif
    return r;
  }
  template <int... kLane>
  static S3D_HD Part collect(const T* p, int stride, std::integer_sequence<int, kLane...>) {
    return Part{p[kLane * stride]...};
  }
  S3D_HD T operator[](int lane) const { return part[lane / kNative][lane % kNative]; }
  S3D_HD void set(int lane, T value) { part[lane / kNative][lane % kNative] = value; }

#define S3D_SIMD_BINARY(op)                                              \
  friend S3D_HD Simd operator op(Simd a, Simd b) {                       \
    Simd r;                                                              \
    for (int i = 0; i < kParts; ++i) r.part[i] = a.part[i] op b.part[i]; \
    return r;                                                            \
  }
  S3D_SIMD_BINARY(+)
  S3D_SIMD_BINARY(-)
  S3D_SIMD_BINARY(*)
  S3D_SIMD_BINARY(/)
#undef S3D_SIMD_BINARY
#define S3D_SIMD_COMPARE(op)                                             \
  friend S3D_HD Mask<T, W> operator op(Simd a, Simd b) {                 \
    Mask<T, W> r;                                                        \
    for (int i = 0; i < kParts; ++i) r.part[i] = a.part[i] op b.part[i]; \
    return r;                                                            \
  }
  S3D_SIMD_COMPARE(<)
  S3D_SIMD_COMPARE(>)
  S3D_SIMD_COMPARE(>=)
  S3D_SIMD_COMPARE(==)
#undef S3D_SIMD_COMPARE

  friend S3D_HD Simd operator-(Simd a) {
    for (int i = 0; i < kParts; ++i) a.part[i] = -a.part[i];
    return a;
  }
  friend S3D_HD Simd select(Mask<T, W> m, Simd a, Simd b) {
    for (int i = 0; i < kParts; ++i) a.part[i] = m.part[i] ? a.part[i] : b.part[i];
    return a;
  }
  friend S3D_HD Simd minimum(Simd a, Simd b) {
    for (int i = 0; i < kParts; ++i) a.part[i] = detail::part_minimum(a.part[i], b.part[i]);
    return a;
  }
  friend S3D_HD Simd maximum(Simd a, Simd b) {
    for (int i = 0; i < kParts; ++i) a.part[i] = detail::part_maximum(a.part[i], b.part[i]);
    return a;
  }
  friend S3D_HD Simd reciprocal(Simd a) {
    for (int i = 0; i < kParts; ++i) a.part[i] = detail::part_reciprocal(a.part[i]);
    return a;
  }
  friend S3D_HD Simd square_root(Simd a) {
    for (int i = 0; i < kParts; ++i)
      for (int k = 0; k < kNative; ++k) a.part[i][k] = square_root(a.part[i][k]);
    return a;
  }
};

namespace detail {

// Within each group of four lanes: (a0, b0, a1, b1) to a, (a2, b2, a3, b3) to b.
template <class P>
S3D_HD void interleave_pairs(P* a, P* b) {
  constexpr int kCount = int(sizeof(P) / sizeof((*a)[0]));
  P low = *a, high = *a;
  for (int i = 0; i < kCount; i += 4)
    for (int k = 0; k < 2; ++k) {
      low[i + 2 * k] = (*a)[i + k];
      low[i + 2 * k + 1] = (*b)[i + k];
      high[i + 2 * k] = (*a)[i + 2 + k];
      high[i + 2 * k + 1] = (*b)[i + 2 + k];
    }
  *a = low;
  *b = high;
}
#if defined(__SSE2__)
S3D_HD void interleave_pairs(__m128* a, __m128* b) {
  const __m128 low = _mm_unpacklo_ps(*a, *b);
  *b = _mm_unpackhi_ps(*a, *b);
  *a = low;
}
#endif
#if defined(__AVX__)
S3D_HD void interleave_pairs(__m256* a, __m256* b) {
  const __m256 low = _mm256_unpacklo_ps(*a, *b);
  *b = _mm256_unpackhi_ps(*a, *b);
  *a = low;
}
#endif
#if defined(__AVX512F__)
S3D_HD void interleave_pairs(__m512* a, __m512* b) {
  const __m512 low = _mm512_unpacklo_ps(*a, *b);
  *b = _mm512_unpackhi_ps(*a, *b);
  *a = low;
}
#endif

}  // namespace detail

// Transposes the 4x4 matrices that stand in each group of four lanes of four vectors.
template <class T, int W>
S3D_HD void transpose_fours(Simd<T, W> (&v)[4]) {
  if constexpr (Simd<T, W>::kNative < 4) {  // float64 in short registers
    for (int lane = 0; lane < W; lane += 4)
      for (int i = 0; i < 4; ++i)
        for (int k = 0; k < i; ++k) {
          const T other = v[k][lane + i];
          v[k].set(lane + i, v[i][lane + k]);
          v[i].set(lane + k, other);
        }
    return;
  }
  for (int i = 0; i < Simd<T, W>::kParts; ++i) {
    detail::interleave_pairs(&v[0].part[i], &v[2].part[i]);
    detail::interleave_pairs(&v[1].part[i], &v[3].part[i]);
    detail::interleave_pairs(&v[0].part[i], &v[1].part[i]);
    detail::interleave_pairs(&v[2].part[i], &v[3].part[i]);
  }
}

// 2^x by a minimax polynomial of degree 5 on [-1/2, 1/2] (relative error 7.5e-8; degree 4 would cost ten times the
// gradient's error). Valid for -126 < x < 127; the callers mask what lies outside.
template <int W>
S3D_HD Simd<float, W> base2_exp(Simd<float, W> x) {
  using V = Simd<float, W>;
  using Integers = typename Mask<float, W>::Part;
  const V magic(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer that stands in the low bits
  const V shifted = x + magic;
  const V f = x - (shifted - magic);
  V p = multiply_add(V(1.3276471992533978e-3f), f, V(9.675541334453752e-3f));
  p = multiply_add(p, f, V(5.5507132734978495e-2f));
  p = multiply_add(p, f, V(0.24022119723839974f));
  p = multiply_add(p, f, V(0.6931469670647609f));
  p = multiply_add(p, f, V(1.0000000716546849f));
  for (int i = 0; i < V::kParts; ++i)
    p.part[i] = typename V::Part(Integers(p.part[i]) + (Integers(shifted.part[i]) << 23));
  return p;
}

// log2 of a positive, normal x: exponent plus 2 / ln(2) * atanh((m - 1) / (m + 1)) with the mantissa m in [0.7, 1.4].
template <int W>
S3D_HD Simd<float, W> base2_log(Simd<float, W> x) {
  using V = Simd<float, W>;
  using Integers = typename Mask<float, W>::Part;
  const Integers half_root = Integers{} + 0x3f3504f3;  // bits of sqrt(1/2)
  V m, whole;
  for (int i = 0; i < V::kParts; ++i) {
    const Integers exponent = (Integers(x.part[i]) - half_root) >> 23;
    m.part[i] = typename V::Part(Integers(x.part[i]) - (exponent << 23));
    whole.part[i] = __builtin_convertvector(exponent, typename V::Part);
  }
  const V s = (m - V(1.0f)) / (m + V(1.0f));
  const V ss = s * s;
  V p = multiply_add(V(0.32059889f), ss, V(0.41219858f));  // 2 / ln(2) / (9, 7, 5, 3, 1)
  p = multiply_add(p, ss, V(0.57707802f));
  p = multiply_add(p, ss, V(0.96179669f));
  p = multiply_add(p, ss, V(2.8853900f));
  return multiply_add(p, s, whole);
}

// float64 is the test instrument: exact rather than fast.
template <int W>
S3D_HD Simd<double, W> base2_log(Simd<double, W> x) {
  Simd<double, W> r{0.0};
  for (int i = 0; i < W; ++i) r.set(i, log2(x[i]));
  return r;
}

template <int W>
S3D_HD Simd<double, W> base2_exp(Simd<double, W> x) {
  Simd<double, W> r{0.0};
  for (int i = 0; i < W; ++i) r.set(i, exp2(x[i]));
  return r;
}

// Adds the halves until kTo lanes are left.
template <int kTo, class T, int W>
S3D_HD Simd<T, kTo> fold(Simd<T, W> a) {
  if constexpr (kTo == W) {
    return a;
  } else {
    Simd<T, W / 2> half;
#if defined(__AVX512F__)
    if constexpr (W == 16 && sizeof(T) == sizeof(float)) {
      half.part[0] = _mm512_castps512_ps256(a.part[0]) + _mm512_extractf32x8_ps(a.part[0], 1);
      return fold<kTo>(half);
    }
#endif
    for (int i = 0; i < W / 2; ++i) half.set(i, a[i] + a[i + W / 2]);
    return fold<kTo>(half);
  }
}

template <class T, int W>
S3D_HD T horizontal_sum(Simd<T, W> a) {
  auto sum = a.part[0];
  for (int i = 1; i < Simd<T, W>::kParts; ++i) sum += a.part[i];
  constexpr int kNative = Simd<T, W>::kNative;
  if constexpr (kNative == 8) {
    sum += __builtin_shufflevector(sum, sum, 4, 5, 6, 7, 0, 1, 2, 3);
    sum += __builtin_shufflevector(sum, sum, 2, 3, 0, 1, 6, 7, 4, 5);
    sum += __builtin_shufflevector(sum, sum, 1, 0, 3, 2, 5, 4, 7, 6);
    return sum[0];
  } else {
    T s = 0;
    for (int k = 0; k < kNative; ++k) s += sum[k];
    return s;
  }
}

#if defined(__AVX512F__)
// Sums eight vectors of sixteen lanes each; lane i of the result is the sum of a[i].
S3D_HD Simd<float, 8> horizontal_sums(const Simd<float, 16> (&a)[8]) {
  // Each level joins two vectors and halves the lanes that a sum is spread over; the last one puts the sums in order.
  const auto join_halves = [](__m512 x, __m512 y) {
    return _mm512_shuffle_f32x4(x, y, 0x44) + _mm512_shuffle_f32x4(x, y, 0xee);
  };
  const auto join_quarters = [](__m512 x, __m512 y) {
    return _mm512_shuffle_f32x4(x, y, 0x88) + _mm512_shuffle_f32x4(x, y, 0xdd);
  };
  const auto join_pairs = [](__m512 x, __m512 y) {
    return _mm512_shuffle_ps(x, y, 0x44) + _mm512_shuffle_ps(x, y, 0xee);
  };
  __m512 b[4], c[2];
  for (int i = 0; i < 4; ++i) b[i] = join_halves(a[i].part[0], a[i + 4].part[0]);  // i, i, i + 4, i + 4
  for (int i = 0; i < 2; ++i) c[i] = join_quarters(b[i], b[i + 2]);                // i, i + 4, i + 2, i + 6
  const __m512 d = join_pairs(c[0], c[1]);          // in each four lanes two of c[0] and two of c[1]
  const __m512 e = d + _mm512_permute_ps(d, 0xb1);  // 0 0 1 1, 4 4 5 5, 2 2 3 3, 6 6 7 7
  Simd<float, 8> r;
  r.part[0] = _mm512_castps512_ps256(
      _mm512_permutexvar_ps(_mm512_setr_epi32(0, 2, 8, 10, 4, 6, 12, 14, 0, 0, 0, 0, 0, 0, 0, 0), e));
  return r;
}
#endif

// Sums eight vectors of eight lanes each; lane i of the result is the sum of a[i].
template <class T>
S3D_HD Simd<T, 8> horizontal_sums(const Simd<T, 8> (&a)[8]) {
  using V = Simd<T, 8>;
  V r;
  if constexpr (V::kNative == 8) {
    typename V::Part b[4], c[2];
    for (int i = 0; i < 4; ++i)
      b[i] = __builtin_shufflevector(a[i].part[0], a[i + 4].part[0], 0, 1, 2, 3, 8, 9, 10, 11) +
             __builtin_shufflevector(a[i].part[0], a[i + 4].part[0], 4, 5, 6, 7, 12, 13, 14, 15);
    for (int i = 0; i < 2; ++i)
      c[i] = __builtin_shufflevector(b[i], b[i + 2], 0, 1, 8, 9, 4, 5, 12, 13) +
             __builtin_shufflevector(b[i], b[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    r.part[0] = __builtin_shufflevector(c[0], c[1], 0, 8, 2, 10, 4, 12, 6, 14) +
                __builtin_shufflevector(c[0], c[1], 1, 9, 3, 11, 5, 13, 7, 15);
  } else if constexpr (V::kNative == 4) {
    for (int h = 0; h < 2; ++h) {
      typename V::Part s[4], c[2];
      for (int i = 0; i < 4; ++i) s[i] = a[4 * h + i].part[0] + a[4 * h + i].part[1];
      for (int i = 0; i < 2; ++i)
        c[i] =
            __builtin_shufflevector(s[i], s[i + 2], 0, 1, 4, 5) + __builtin_shufflevector(s[i], s[i + 2], 2, 3, 6, 7);
      r.part[h] = __builtin_shufflevector(c[0], c[1], 0, 4, 2, 6) + __builtin_shufflevector(c[0], c[1], 1, 5, 3, 7);
    }
  } else {
    for (int i = 0; i < 8; ++i) r.set(i, horizontal_sum(a[i]));
  }
  return r;
}

}  // namespace S3D_ISA
}  // namespace s3d
