// Where a splat's footprint lies within a tile: strips of eight columns, each with its own range of rows.
//
// A vector holds eight columns of a row, or of two rows where registers have sixteen lanes: splats of a pixel or two
// are seldom wider. Within a strip the offsets dx are the same in every vector, so that the exponent costs two
// multiply-adds and the backward pass keeps three sums instead of six moments. Rows are bounded by the ellipse inside
// the strip alone.
#pragma once

#include "frame.h"
#include "sparse3d/simd.h"

namespace s3d {
namespace S3D_ISA {

// A tile's place in the image; its last row and column may lie beyond the image's border.
struct TileArea {
  int x, y;           // pixel of the upper left corner
  int columns, rows;  // inside the image

  template <class Real>
  S3D_HD TileArea(const Frame<Real>& frame, int tile) {
    x = tile % frame.tiles_x * kTile;
    y = tile / frame.tiles_x * kTile;
    const int width = int(frame.camera.width), height = int(frame.camera.height);
    columns = width - x < kTile ? width - x : kTile;
    rows = height - y < kTile ? height - y : kTile;
  }
};

// Whether the mask, if there is one, asks for a pixel of the tile.
template <class Real>
S3D_HD bool pixel_wanted(const Frame<Real>& frame, const TileArea& area, int x, int y) {
  return !frame.mask || frame.mask[int64_t(area.y + y) * int(frame.camera.width) + area.x + x];
}

struct Range {
  int first, last;  // inclusive; empty when last < first
};

// Smallest integers not below, lane by lane.
template <class Real>
S3D_HD Simd<Real, 4> round_up(Simd<Real, 4> a) {
#if defined(__SSE4_1__)
  if constexpr (sizeof(Real) == sizeof(float)) {
    a.part[0] = _mm_ceil_ps(a.part[0]);
    return a;
  }
#endif
  Simd<Real, 4> r{Real(0)};
  for (int i = 0; i < 4; ++i) r.set(i, Real(ceil(a[i])));
  return r;
}

// Integers in [low, high] and within limits that a NaN or an infinity cannot leave.
template <class Real>
S3D_HD Range integers_between(Real low, Real high, Range limit) {
  const Real first = maximum(minimum(low, Real(limit.last + 1)), Real(limit.first));
  const Real last = maximum(minimum(high, Real(limit.last)), Real(limit.first - 1));
  const int from = int(first), to = int(last);
  return {from + (Real(from) < first), to - (Real(to) > last)};
}

template <class Real>
struct Footprint {
  const Record<Real>* record;
  Real x, y;  // the centre, relative to the centre of the tile's first pixel
  Range columns, all_rows;

  Footprint() = default;
  S3D_HD Footprint(const Record<Real>& splat, const TileArea& area) : record(&splat) {
    x = splat.x - (Real(area.x) + Real(0.5));
    y = splat.y - (Real(area.y) + Real(0.5));
    // All four borders at once: the upper ones with their signs turned.
    Simd<Real, 4> border{Real(0)}, limit{Real(0)};
    border.set(0, x - splat.extent_x);
    border.set(1, y - splat.extent_y);
    border.set(2, -x - splat.extent_x);
    border.set(3, -y - splat.extent_y);
    limit.set(0, Real(0));
    limit.set(1, Real(0));
    limit.set(2, Real(1 - area.columns));
    limit.set(3, Real(1 - area.rows));
    border = minimum(maximum(round_up(border), limit), Simd<Real, 4>(Real(kTile)));
    columns = {int(border[0]), -int(border[2])};
    all_rows = {int(border[1]), -int(border[3])};
  }

  // Rows that the footprint reaches in the strip of columns [first, first + kLanes).
  S3D_HD Range rows(int first) const {
    if (columns.last - columns.first < kLanes) return all_rows;
    const Record<Real>& splat = *record;
    const Real left = Real(first) - x, right = left + Real(kLanes - 1);
    const Real half_inverse_c = Real(-0.5) / splat.c;
    const Real slope = splat.b * half_inverse_c;
    const Real reach = (splat.log2_opacity + Real(kLog2InverseMinAlpha)) * (half_inverse_c + half_inverse_c);
    const Real scale = Real(1) / (splat.extent_x * splat.extent_x);
    const Real top = clamp(splat.top_dx, left, right), bottom = clamp(-splat.top_dx, left, right);
    const Real up = square_root(maximum(reach * (Real(1) - top * top * scale), Real(0)));
    const Real down = square_root(maximum(reach * (Real(1) - bottom * bottom * scale), Real(0)));
    return integers_between(y + slope * bottom - down, y + slope * top + up, all_rows);
  }
};

struct TilePlace {
  int x, y;  // in tiles

  template <class Real>
  S3D_HD TilePlace(const Frame<Real>& frame, int tile) : x(tile % frame.tiles_x), y(tile / frame.tiles_x) {}
};

// Private place of one splat in one tile: what a tile sums up for a splat is written there and gathered per splat
// later, without atomics and in an order that does not depend on the threads.
template <class Real>
S3D_HD size_t instance_slot(const Frame<Real>& frame, uint32_t index, TilePlace tile) {
  const Record<Real>& r = frame.records[index];
  return size_t(frame.chunk_slots[index / kChunk]) + r.slot +
         unsigned((tile.y - r.tile_y0) * (r.tile_x1 - r.tile_x0) + (tile.x - r.tile_x0));
}

// The channels of a splat in the order of the planes.
template <class Real>
S3D_HD const Real* splat_values(const Frame<Real>& frame, uint32_t index) {
  return frame.channel_values ? frame.channel_values + size_t(index) * frame.channels : frame.records[index].channels;
}

// Fetches what a tile reads of a splat.
template <class Real>
S3D_HD void prefetch_splat(const Frame<Real>& frame, uint32_t index) {
  __builtin_prefetch(frame.records + index);
  if (!frame.channel_values) return;
  const Real* values = splat_values(frame, index);
  __builtin_prefetch(values);
  __builtin_prefetch(values + frame.channels - 1);
}

}  // namespace S3D_ISA
}  // namespace s3d
