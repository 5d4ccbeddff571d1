// What the rasterising kernels share: a thread's pixel and patch, and a batch of splats in shared memory.
#pragma once

#include "reach.h"

namespace s3d {
namespace gpu {

// Pixel of a thread: warps own patches of 8x4, two abreast.
template <class Real>
struct Pixel {
  int lane, warp;
  int64_t at;   // in images of all views
  bool inside;  // of the image
  bool wanted;  // inside, and drawn by the mask
  Real x, y;    // centre
  Rectangle<Real> patch;

  __device__ __forceinline__ explicit Pixel(const Frame<Real>& f) {
    const int tile = int(blockIdx.x), view = int(blockIdx.y), thread = int(threadIdx.x);
    lane = thread % kWarpSize;
    warp = thread / kWarpSize;
    const int left = tile % f.tiles_x * kTile + warp % 2 * kPatchWidth;
    const int top = tile / f.tiles_x * kTile + warp / 2 * kPatchHeight;
    const int column = left + lane % kPatchWidth, row = top + lane / kPatchWidth;
    inside = column < f.width && row < f.height;
    at = (int64_t(view) * f.height + row) * f.width + column;
    wanted = inside && (!f.masks || f.masks[at]);
    const Real half(0.5);
    x = Real(column) + half;
    y = Real(row) + half;
    patch = {Real(left) + half, Real(top) + half, Real(left + kPatchWidth) - half, Real(top + kPatchHeight) - half};
  }
};

template <class Real>
__device__ __forceinline__ uint2 instances_of_tile(const Frame<Real>& f) {
  return f.tile_ranges[blockIdx.y * unsigned(f.tiles()) + blockIdx.x];
}

// Splats and their channels, loaded by the whole block. kChannels is at least the number of channels in use; those
// beyond it are zero.
template <int kChannels, int kBatch, class Real>
struct Batch {
  Splat<Real> splats[kBatch];
  Real values[kBatch][kChannels];
  Real depths[kBatch];  // z of the centre, whether or not it is blended

  // Instances [begin, begin + count) of the sorted ones.
  __device__ __forceinline__ void load(const Frame<Real>& f, uint32_t begin, int count) {
    for (int k = int(threadIdx.x); k < count; k += kThreads) {
      const uint32_t pair = f.pairs_sorted[begin + unsigned(k)];
      splats[k] = f.splats[pair];
      const Shade<Real> shade = f.shades[pair];
      values[k][0] = shade.red;
      values[k][1] = shade.green;
      values[k][2] = shade.blue;
      depths[k] = shade.z;
      if constexpr (kChannels == 4) values[k][3] = shade.z;
      if constexpr (kChannels > 4) load_extra(f, pair, values[k], shade.z);
    }
  }

  __device__ __forceinline__ static void load_extra(const Frame<Real>& f, uint32_t pair, Real* out, Real z) {
    if (f.with_depth) out[3] = z;
    if (f.with_normals)
      for (int c = 0; c < 3; ++c) out[f.first_normal + c] = f.splat_normals[3 * int64_t(pair) + c];
    const Real* features = f.values + (pair % uint32_t(f.count)) * int64_t(f.features);
    for (int c = 0; c < f.features; ++c) out[f.first_feature + c] = features[c];
    for (int c = f.channels; c < kChannels; ++c) out[c] = Real(0);
  }
};

// The lowest bit that is set, which is taken out.
__device__ __forceinline__ int take_lowest(uint32_t* bits) {
  const int lowest = __ffs(int(*bits)) - 1;
  *bits &= *bits - 1;
  return lowest;
}

// Which of up to 32 splats reach the warp's patch, one bit each.
template <class Real>
__device__ __forceinline__ uint32_t splats_of_patch(const Splat<Real>* splats, int count, const Pixel<Real>& pixel) {
  const bool hit = pixel.lane < count && reaches(splats[pixel.lane], pixel.patch);
  return __ballot_sync(kFullWarp, hit);
}

}  // namespace gpu
}  // namespace s3d
