// Splat-tile pairs ("instances") in the order in which tiles draw them: by tile, front to back.
#include "kernels.h"
#include "reach.h"

namespace s3d {
namespace gpu {
namespace {

template <class Real>
__global__ __launch_bounds__(kThreads) void count_kernel(Frame<Real> f) {
  const int64_t j = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (j < f.pairs()) f.offsets[j] = f.pair_instances[f.pair_order[j]];
  if (j == f.pairs()) f.offsets[j] = 0;
}

template <class Real>
__global__ void demand_kernel(Frame<Real> f) {
  const unsigned long long needed = f.offsets[f.pairs()];
  *f.demand = {needed, needed > f.capacity ? 1u : 0u, 0};
}

// Pairs come in depth order, so that a stable sort by tile keeps each tile's instances front to back; where there is
// not room for all, the farthest are left out.
template <class Real>
__global__ __launch_bounds__(kThreads) void emit_kernel(Frame<Real> f) {
  const int64_t j = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (j >= f.pairs()) return;
  const uint32_t pair = f.pair_order[j];
  const unsigned long long begin = f.offsets[j], wanted = f.offsets[j + 1];
  f.pair_first[pair] = uint32_t(begin);
  if (begin == wanted || begin >= f.capacity) return;
  const uint32_t end = uint32_t(wanted < f.capacity ? wanted : f.capacity);
  uint32_t at = uint32_t(begin);
  const uint32_t first_key = uint32_t(pair / f.count) * uint32_t(f.tiles());
  const auto emit = [&](uint32_t key) {
    if (at >= end) return;
    f.tile_keys[at] = key;
    f.instances[at] = at;
    f.instance_pairs[at] = pair;
    ++at;
  };
  for_each_tile(f.splats[pair], f.width, f.height, f.tiles_x, [&](int tile) { emit(first_key + uint32_t(tile)); });
  // Should this kernel's rounding find fewer tiles than the counting one's did, the places belong to no tile.
  while (at < end) emit(uint32_t(f.views) * uint32_t(f.tiles()));
}

template <class Real>
__global__ __launch_bounds__(kThreads) void range_kernel(Frame<Real> f) {
  const uint32_t i = blockIdx.x * kThreads + threadIdx.x;
  const unsigned long long needed = f.demand->instances;
  const uint32_t count = uint32_t(needed < f.capacity ? needed : f.capacity);
  if (i >= count) return;
  const uint32_t none = uint32_t(f.views) * uint32_t(f.tiles());
  const uint32_t key = f.tile_keys_sorted[i];
  if (key < none) {
    if (i == 0 || f.tile_keys_sorted[i - 1] != key) f.tile_ranges[key].x = i;
    if (i + 1 == count || f.tile_keys_sorted[i + 1] != key) f.tile_ranges[key].y = i + 1;
  }
  f.pairs_sorted[i] = f.instance_pairs[f.instances_sorted[i]];
}

}  // namespace

template <class Real>
void count_in_depth_order(const Frame<Real>& f, cudaStream_t stream) {
  launch("counting", count_kernel<Real>, blocks_for(f.pairs() + 1, kThreads), kThreads, stream, f);
}

template <class Real>
void record_demand(const Frame<Real>& f, cudaStream_t stream) {
  launch("comparing the demand", demand_kernel<Real>, 1, 1, stream, f);
}

template <class Real>
void emit_instances(const Frame<Real>& f, cudaStream_t stream) {
  // Places that stay empty belong to no tile: the largest key sorts behind all others.
  check(cudaMemsetAsync(f.tile_keys, 0xff, size_t(f.capacity) * sizeof(uint32_t), stream), "clearing the tile keys");
  launch("emitting instances", emit_kernel<Real>, blocks_for(f.pairs(), kThreads), kThreads, stream, f);
}

template <class Real>
void find_tile_ranges(const Frame<Real>& f, cudaStream_t stream) {
  check(cudaMemsetAsync(f.tile_ranges, 0, size_t(f.views) * f.tiles() * sizeof(uint2), stream), "clearing the tiles");
  launch("finding tiles", range_kernel<Real>, blocks_for(f.capacity, kThreads), kThreads, stream, f);
}

#define S3D_INSTANTIATE(Real)                                                 \
  template void count_in_depth_order<Real>(const Frame<Real>&, cudaStream_t); \
  template void record_demand<Real>(const Frame<Real>&, cudaStream_t);        \
  template void emit_instances<Real>(const Frame<Real>&, cudaStream_t);       \
  template void find_tile_ranges<Real>(const Frame<Real>&, cudaStream_t);
S3D_INSTANTIATE(float)
#ifdef S3D_WITH_DOUBLE
S3D_INSTANTIATE(double)
#endif

}  // namespace gpu
}  // namespace s3d
