// What the traversal hands to the kernels of one instruction set: plain pointers and sizes, no behaviour.
#pragma once

#include <cstddef>
#include <cstdint>

#include "adam_frame.h"
#include "loss_frame.h"
#include "sparse3d/patchmatch_frame.h"
#include "sparse3d/projection.h"

namespace s3d {

// Wide tiles suit a CPU: 8x8 cost 1.7 and 16x16 1.3 times as much in the prototype's measurements.
constexpr int kTile = 32;
// Vectors may run past a tile's right border into columns that hold zero transmittance; no masks are needed.
constexpr int kTilePadding = 8;
constexpr int kTileStride = kTile + kTilePadding;
constexpr int kLanes = 8;
// Rows of a tile that a kernel may interleave (strip.h).
constexpr int kMaxRowGroup = 2;
// Gaussians per unit of work. Sums over the cameras' gradients are kept per chunk, so they do not depend on the
// threads.
constexpr int kChunk = 1024;
// Gradient sums of the cameras: rotation (9), translation (3), fx, fy, cx, cy, camera centre (3).
constexpr int kCameraSums = 19;
constexpr int kMoments = 6;
constexpr int kMaxChannels = 3 + 1 + 3 + 32;  // colour, depth, normal, features

// Offset of the z-depth among a record's channels, where it stands whether or not it is blended.
constexpr int kDepthChannel = 3;

// One projected splat, 64 bytes in float32. exponent(d) = log2_opacity + a dx^2 + b dx dy + c dy^2.
template <class Real>
struct Record {
  Real x, y;
  Real a, b, c;  // conic times -log2(e) / 2, twice that for the mixed term
  Real log2_opacity;
  Real channels[4];                             // red, green, blue, z-depth
  Real extent_x, extent_y;                      // half-extents of the footprint in pixels
  Real top_dx;                                  // x - centre where the footprint reaches its largest y
  uint16_t tile_x0, tile_y0, tile_x1, tile_y1;  // half-open range of tiles; empty when not drawn
  uint32_t slot;                                // of its first tile instance, counted within its chunk
};
static_assert(sizeof(Record<float>) == 64, "a splat is one cache line");

struct KeyIndex {
  uint32_t key, index;
};

struct KeyRange {
  uint32_t least, most;
};

struct TileBox {
  uint16_t x0, y0, x1, y1;
};

template <class Real>
struct Frame {
  // The call
  int64_t count;
  int sh_coefficients, features;
  int channels;                     // what is blended: colour, then depth, normal and features where asked for
  int first_normal, first_feature;  // places of these among the channels
  bool antialias, with_depth, with_median_depth, with_normals, with_statistics;
  const uint8_t* mask;  // pixels to draw; NULL for all
  Pinhole<Real> camera;
  Real camera_centre[3];
  Real background[3];
  const Real *means, *quats, *scales, *opacities, *sh, *values;
  Real *rgb, *alpha, *depth, *median_depth, *normals, *image_values;
  Real *radii, *weight_sum, *weight_max;

  // Projection
  Record<Real>* records;      // (count)
  TileBox* boxes;             // (count)
  Real* channel_values;       // (count, channels) where a record cannot hold them, NULL otherwise
  KeyIndex* chunk_pairs;      // (count): each chunk's visible splats at the chunk's start
  uint32_t* chunk_visible;    // (chunks)
  KeyRange* chunk_keys;       // (chunks)
  uint32_t* chunk_instances;  // (chunks)
  uint32_t* chunk_slots;      // (chunks): first slot of a chunk

  // Tiles
  int tiles_x, tiles_y;
  const uint32_t* instances;   // splats by tile, front to back
  const uint32_t* tile_begin;  // (tiles + 1)
  uint32_t* tile_end_used;     // (tiles): where every pixel was opaque
  Real* statistics_slots;      // (instances, 2)

  // Backward
  const Real *g_rgb, *g_alpha, *g_depth, *g_median_depth, *g_normals, *g_values;
  Real* slots;  // (instances, slot_stride): moments, channel sums, then the sum for the median depth where asked for
  int slot_stride;
  Real *g_means, *g_quats, *g_scales, *g_opacities, *g_sh, *g_features, *g_centres;
  bool accumulate;
  double* camera_sums;  // (chunks, kCameraSums)
};

// The kernels of one instruction set. `scratch` is private to a thread: scratch_reals(channels) values.
template <class Real>
struct Kernels {
  void (*project)(const Frame<Real>&, int64_t chunk);
  void (*raster_forward)(const Frame<Real>&, int tile, Real* scratch);
  void (*raster_backward)(const Frame<Real>&, int tile, Real* scratch);
  void (*gather_backward)(const Frame<Real>&, int64_t chunk);
  LossBand<Real> loss_band;
  AdamRange<Real> adam_range;
  DepthRange<Real> depth_weights, depth_errors;
  void (*patchmatch_row)(const PatchmatchFrame<Real>&, int y);
};

// A tile's planes are interleaved by groups of rows: transmittance, residual (backward), a colour or gradient per
// channel, then the median depth or its gradient. Whole planes behind one another would lie at multiples of 4096 bytes,
// where loads wait for stores that they have nothing to do with. Behind them is room for a group of rows as images have
// them.
constexpr size_t scratch_reals(int channels) { return size_t(channels + 3) * (kTile + kMaxRowGroup) * kTileStride; }

}  // namespace s3d
