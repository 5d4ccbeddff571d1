// Sums of many values over a warp at once.
#pragma once

#include "frame.h"

namespace s3d {
namespace gpu {

// Summing N values one by one takes 5 N shuffles. Here the two halves of the warp exchange what the other one keeps:
// N / 2 shuffles leave half the values to each, and so on, about N in all. Afterwards every lane holds one total.
//
// Which one: sum_of_lane<N>(lane), or -1 where the lane holds none. N is at most 32.
template <int N>
__device__ __forceinline__ int sum_of_lane(int lane) {
  int first = 0, left = N, width = N;
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2) {
    if (width == 1) break;
    width = (width + 1) / 2;
    if (lane & offset) {
      first += width;
      left -= width;
    } else if (left > width) {
      left = width;
    }
  }
  return left > 0 ? first : -1;
}

template <int N, int kOffset, class Real>
__device__ __forceinline__ Real exchange_and_sum(const Real (&v)[N], int lane) {
  if constexpr (kOffset == 0) {
    return v[0];
  } else if constexpr (N == 1) {
    const Real sum[1] = {v[0] + __shfl_xor_sync(kFullWarp, v[0], kOffset)};
    return exchange_and_sum<1, kOffset / 2>(sum, lane);
  } else {
    constexpr int kHalf = (N + 1) / 2;
    const bool upper = lane & kOffset;
    Real kept[kHalf];
#pragma unroll
    for (int i = 0; i < kHalf; ++i) {
      const Real high = i + kHalf < N ? v[i + kHalf < N ? i + kHalf : 0] : Real(0);
      const Real sent = upper ? v[i] : high;
      kept[i] = (upper ? high : v[i]) + __shfl_xor_sync(kFullWarp, sent, kOffset);
    }
    return exchange_and_sum<kHalf, kOffset / 2>(kept, lane);
  }
}

template <int N, class Real>
__device__ __forceinline__ Real sum_over_warp(const Real (&v)[N], int lane) {
  static_assert(N <= kWarpSize, "every lane holds one total at most");
  return exchange_and_sum<N, kWarpSize / 2>(v, lane);
}

}  // namespace gpu
}  // namespace s3d
