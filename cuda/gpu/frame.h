// What the host hands to the kernels: plain device pointers and sizes.
#pragma once

#include <cstdint>

#include "platform.h"
#include "sparse3d/projection.h"

namespace s3d {
namespace gpu {

using namespace s3d::S3D_ISA;

// A block of 256 threads draws a tile of 16x16 pixels; each of its 8 warps owns a patch of 8x4 and skips the splats
// that miss it.
constexpr int kTile = 16;
constexpr int kThreads = kTile * kTile;
constexpr int kWarpSize = 32;
constexpr int kWarps = kThreads / kWarpSize;
constexpr int kPatchWidth = 8, kPatchHeight = 4;
constexpr unsigned kFullWarp = 0xffffffffu;
// Sums per splat and tile: of g = d loss / d ln(alpha), g dx, g dy, g dx dx, g dx dy, g dy dy.
constexpr int kMoments = 6;
// Gradient sums of the cameras: rotation (9), translation (3), fx, fy, cx, cy, camera centre (3).
constexpr int kCameraSums = 19;
// Per-Gaussian kernels.
constexpr int kPointThreads = 128;

// One projected splat. exponent(d) = log2_opacity + a dx^2 + b dx dy + c dy^2.
template <class Real>
struct alignas(4 * sizeof(Real)) Splat {
  Real x, y;
  Real a, b, c;  // conic times -log2(e) / 2, twice that for the mixed term
  Real log2_opacity;
  Real extent_x, extent_y;  // half-extents of the footprint in pixels
};
static_assert(sizeof(Splat<float>) == 32, "a splat is one sector");

template <class Real>
struct alignas(4 * sizeof(Real)) Shade {
  Real red, green, blue, z;
};

template <class Real>
struct Camera {
  Pinhole<Real> pinhole;
  Vec3<Real> centre;  // in world space
};

// The number of splat-tile pairs that a forward pass needed; more than there was room for makes its images NaN and its
// gradients zero.
struct Demand {
  unsigned long long instances;
  uint32_t overflow;
  uint32_t reserved;
};

template <class Real>
struct Frame {
  // The call. A "pair" is a Gaussian in a view: view * count + index.
  int64_t count;
  int views, width, height, tiles_x, tiles_y;
  int sh_coefficients, features;
  int channels;  // blended: colour, then depth, normal and features where asked for
  int first_normal, first_feature;
  bool antialias, with_depth, with_median_depth, with_normals, double_cameras;
  Real near_plane, eps2d, background[3];
  const void *cam_from_world, *intrinsics;
  const uint8_t* masks;
  const Real *means, *quats, *scales, *opacities, *sh, *values;
  Real *rgb, *alpha, *depth, *median_depth, *normals, *image_values;
  Real *radii, *weight_sum, *weight_max;

  // Projection
  Camera<Real>* cameras;  // (views)
  Splat<Real>* splats;    // (pairs)
  Shade<Real>* shades;    // (pairs)
  Real* splat_normals;    // (pairs, 3) or null

  // Binning
  uint32_t *depth_keys, *depth_keys_sorted;  // (pairs): float32 bits of the depth
  uint32_t *pair_ids, *pair_order;           // (pairs): 0, 1, 2, ...; the same by depth
  uint32_t* pair_instances;                  // (pairs): number of tiles reached
  uint32_t* pair_first;                      // (pairs): first instance
  unsigned long long* offsets;               // (pairs + 1), in depth order: instance counts, then their exclusive sums
  uint32_t capacity;                         // instances that there is room for
  Demand* demand;
  uint32_t *tile_keys, *tile_keys_sorted;   // (capacity): view * tiles + tile
  uint32_t *instances, *instances_sorted;   // (capacity): the emission's number, which is the place of private sums
  uint32_t *instance_pairs, *pairs_sorted;  // (capacity)
  uint2* tile_ranges;                       // (views * tiles): begin and end among the sorted instances
  Real* statistics_slots;                   // (capacity, 2)

  // Backward
  const Real *g_rgb, *g_alpha, *g_depth, *g_median_depth, *g_normals, *g_values;
  Real* slots;  // (capacity, slot_stride): moments, channel sums, the sum for the median depth
  int slot_stride;
  Real *g_means, *g_quats, *g_scales, *g_opacities, *g_sh, *g_features, *g_centres;
  double *g_cam_from_world, *g_intrinsics;  // (views, 4, 4), (views, 3, 3); null where not wanted
  double* camera_partials;                  // (views, blocks, kCameraSums)

  S3D_HD int tiles() const { return tiles_x * tiles_y; }
  S3D_HD int64_t pairs() const { return count * views; }
};

}  // namespace gpu
}  // namespace s3d
