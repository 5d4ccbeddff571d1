// Moves between arrays of structures in memory and one SIMD vector per component.
#pragma once

#include <utility>

#include "frame.h"
#include "sparse3d/linear.h"
#include "sparse3d/simd.h"

namespace s3d {
namespace S3D_ISA {

// kWide consecutive elements of an array of structs. Lanes past the end repeat the last element; stores leave them out.
struct LaneRange {
  int64_t first;
  int active;  // 1 to kWide

  S3D_HD int64_t element(int lane) const { return first + (lane < active ? lane : active - 1); }
};

template <class Real>
S3D_HD Simd<Real, kWide> gather(const Real* base, int stride, int component, LaneRange lanes) {
  if (__builtin_expect(lanes.active == kWide, 1))
    return Simd<Real, kWide>::load_strided(base + lanes.first * stride + component, stride);
  Simd<Real, kWide> r{Real(0)};
  for (int i = 0; i < kWide; ++i) r.set(i, base[lanes.element(i) * stride + component]);
  return r;
}

// Four neighbouring components of kWide consecutive elements.
template <class Real>
S3D_HD void gather_fours(const Real* base, int stride, Simd<Real, kWide> (&v)[4]) {
  for (int q = 0; q < 4; ++q) v[q] = Simd<Real, kWide>::load_fours(base + q * stride, 4 * stride);
  transpose_fours(v);
}

// Four components of every lane, to be copied to where they belong one lane after the other.
template <class Real>
struct LaneFours {
  alignas(64) Real v[4][kWide];

  S3D_HD LaneFours(Simd<Real, kWide> a, Simd<Real, kWide> b, Simd<Real, kWide> c, Simd<Real, kWide> d) {
    Simd<Real, kWide> all[4] = {a, b, c, d};
    transpose_fours(all);
    for (int q = 0; q < 4; ++q) all[q].store(v[q]);
  }
  S3D_HD void copy(int lane, Real* to) const { Simd<Real, 4>::load(v[lane % 4] + lane / 4 * 4).store(to); }
};

template <class Real>
S3D_HD void scatter(Real* base, int stride, int component, LaneRange lanes, Simd<Real, kWide> v, bool accumulate) {
  Real* p = base + lanes.first * stride + component;
  if (accumulate) {
    for (int i = 0; i < lanes.active; ++i) p[i * stride] += v[i];
  } else {
    for (int i = 0; i < lanes.active; ++i) p[i * stride] = v[i];
  }
}

// Structures of kComponents numbers that follow one another, to and from one vector per component. Two-source shuffles
// of whole registers take a third of the instructions that lane by lane would.
template <int kComponents, class Real>
struct Interleaved {
  using V = Simd<Real, kWide>;
  using Part = typename V::Part;
  static constexpr int N = kWide;
  static constexpr bool kWhole = V::kParts == 1;  // registers as wide as the vector
  using Lanes = std::make_integer_sequence<int, N>;

  static S3D_HD void load(const Real* p, V* v) {
    Part in[kComponents];
    for (int i = 0; i < kComponents; ++i) in[i] = V::load(p + i * N).part[0];
    split(in, v, Lanes());
  }
  static S3D_HD void store(Real* p, const V* v, bool accumulate) {
    V out[kComponents];
    join(v, out, Lanes());
    for (int i = 0; i < kComponents; ++i) (accumulate ? out[i] + V::load(p + i * N) : out[i]).store(p + i * N);
  }

 private:
  // Number i of component c stands at kComponents * i + c: in the first pair of registers or behind it.
  template <int c, int... i>
  static S3D_HD Part component(const Part* in, std::integer_sequence<int, i...>) {
    constexpr int K = kComponents;
    const Part front = __builtin_shufflevector(in[0], in[1], (K * i + c < 2 * N ? K * i + c : 0)...);
    const Part back = K == 3 ? in[2] : __builtin_shufflevector(in[2], in[K - 1], (K * i + c) % (2 * N)...);
    return __builtin_shufflevector(front, back, (K * i + c < 2 * N ? i : N + (K == 3 ? K * i + c - 2 * N : i))...);
  }
  template <int... i>
  static S3D_HD void split(const Part* in, V* v, std::integer_sequence<int, i...> lanes) {
    v[0].part[0] = component<0>(in, lanes);
    v[1].part[0] = component<1>(in, lanes);
    v[2].part[0] = component<2>(in, lanes);
    if constexpr (kComponents == 4) v[3].part[0] = component<3>(in, lanes);
  }
  template <int o, int... i>
  static S3D_HD Part output(const V* v, std::integer_sequence<int, i...>) {
    constexpr int K = kComponents;
    const Part front =
        __builtin_shufflevector(v[0].part[0], v[1].part[0], ((o * N + i) / K + ((o * N + i) % K == 1 ? N : 0))...);
    const Part back = K == 3 ? v[2].part[0]
                             : __builtin_shufflevector(v[2].part[0], v[K - 1].part[0],
                                                       ((o * N + i) / K + ((o * N + i) % K == 3 ? N : 0))...);
    return __builtin_shufflevector(front, back, ((o * N + i) % K < 2 ? i : N + (K == 3 ? (o * N + i) / K : i))...);
  }
  template <int... i>
  static S3D_HD void join(const V* v, V* out, std::integer_sequence<int, i...> lanes) {
    out[0].part[0] = output<0>(v, lanes);
    out[1].part[0] = output<1>(v, lanes);
    out[2].part[0] = output<2>(v, lanes);
    if constexpr (kComponents == 4) out[3].part[0] = output<3>(v, lanes);
  }
};

// All components of structures that follow one another without a gap.
template <int kComponents, class Real>
S3D_HD void gather_all(const Real* base, LaneRange lanes, Simd<Real, kWide>* v) {
  if constexpr (Interleaved<kComponents, Real>::kWhole)
    if (__builtin_expect(lanes.active == kWide, 1))
      return Interleaved<kComponents, Real>::load(base + lanes.first * kComponents, v);
  for (int c = 0; c < kComponents; ++c) v[c] = gather(base, kComponents, c, lanes);
}

template <int kComponents, class Real>
S3D_HD void scatter_all(Real* base, LaneRange lanes, const Simd<Real, kWide>* v, bool accumulate) {
  if constexpr (Interleaved<kComponents, Real>::kWhole)
    if (__builtin_expect(lanes.active == kWide, 1))
      return Interleaved<kComponents, Real>::store(base + lanes.first * kComponents, v, accumulate);
  for (int c = 0; c < kComponents; ++c) scatter(base, kComponents, c, lanes, v[c], accumulate);
}

template <class Real>
S3D_HD Vec3<Simd<Real, kWide>> gather3(const Real* base, LaneRange lanes) {
  Simd<Real, kWide> v[3];
  gather_all<3>(base, lanes, v);
  return {v[0], v[1], v[2]};
}

template <class Real>
S3D_HD void scatter3(Real* base, LaneRange lanes, Vec3<Simd<Real, kWide>> v, bool accumulate) {
  const Simd<Real, kWide> all[3] = {v.x, v.y, v.z};
  scatter_all<3>(base, lanes, all, accumulate);
}

template <class Real>
S3D_HD Quat<Simd<Real, kWide>> gather_quat(const Real* base, LaneRange lanes) {
  Simd<Real, kWide> v[4];
  gather_all<4>(base, lanes, v);
  return {v[0], v[1], v[2], v[3]};
}

template <class Real>
S3D_HD void scatter_quat(Real* base, LaneRange lanes, Quat<Simd<Real, kWide>> v, bool accumulate) {
  const Simd<Real, kWide> all[4] = {v.w, v.x, v.y, v.z};
  scatter_all<4>(base, lanes, all, accumulate);
}

// True where a lane is neither NaN nor infinite.
template <class Real, int W>
S3D_HD Mask<Real, W> is_finite(Simd<Real, W> a) {
  return (a - a) == Simd<Real, W>(Real(0));
}

}  // namespace S3D_ISA
}  // namespace s3d
