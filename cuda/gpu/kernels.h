// The steps of a forward and a backward pass, in order. Each starts kernels on the stream and returns at once.
#pragma once

#include <cstring>

#include "frame.h"

namespace s3d {
namespace gpu {

// Depth key of a pair that is not drawn: a NaN's bits, behind every finite depth.
constexpr uint32_t kNotDrawn = 0x7fffffffu;
constexpr int kDepthBits = 31;

// Positive floats order like their bits.
S3D_HD uint32_t depth_key(float z) {
  uint32_t key;
  memcpy(&key, &z, sizeof key);
  return key;
}

template <class Real>
S3D_HD bool is_finite(Real x) {
  return x - x == Real(0);
}

template <class Real>
void project_views(const Frame<Real>& f, cudaStream_t stream);

// Fills offsets with the instance counts in depth order; their exclusive sums are left to the caller.
template <class Real>
void count_in_depth_order(const Frame<Real>& f, cudaStream_t stream);
// Compares what is needed with the capacity.
template <class Real>
void record_demand(const Frame<Real>& f, cudaStream_t stream);
// Writes tile_keys, instances and instance_pairs; their sort by tile is left to the caller.
template <class Real>
void emit_instances(const Frame<Real>& f, cudaStream_t stream);
// Fills tile_ranges and pairs_sorted from the sorted instances.
template <class Real>
void find_tile_ranges(const Frame<Real>& f, cudaStream_t stream);

template <class Real>
void raster_forward(const Frame<Real>& f, cudaStream_t stream);
// Fills weight_sum and weight_max.
template <class Real>
void record_statistics(const Frame<Real>& f, cudaStream_t stream);

template <class Real>
void raster_backward(const Frame<Real>& f, cudaStream_t stream);
// Carries the private sums on to the Gaussians and the cameras.
template <class Real>
void gather_backward(const Frame<Real>& f, cudaStream_t stream);

// Of raster_backward for a number of channels, the median depth included or not.
int slot_stride(int channels, bool with_median_depth);

}  // namespace gpu
}  // namespace s3d
