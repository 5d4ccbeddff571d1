// Blends one tile front to back.
#include <cstring>

#include "footprint.h"
#include "kernels.h"
#include "sparse3d/blending.h"
#include "sparse3d/simd.h"

namespace s3d {
namespace S3D_ISA {
namespace {

// How often a tile looks whether all of its pixels are opaque.
constexpr uint32_t kOpacityCheck = 64;
// Records are fetched this many splats ahead.
constexpr uint32_t kPrefetch = 8;

template <class Real>
struct ForwardPlanes {
  Real* base;
  int row;     // distance of two rows: the transmittance, the channels, then the median depth, kTileStride apart
  int median;  // offset of the latter

  ForwardPlanes(Real* scratch, const Frame<Real>& frame, const TileArea& area)
      : base(scratch),
        row((frame.channels + 1 + (frame.with_median_depth ? 1 : 0)) * kTileStride),
        median((frame.channels + 1) * kTileStride) {
    std::memset(scratch, 0, size_t(row) * kTile * sizeof(Real));
    for (int y = 0; y < area.rows; ++y)
      for (int x = 0; x < area.columns; ++x)
        if (pixel_wanted(frame, area, x, y)) scratch[y * row + x] = Real(1);
  }

  bool opaque(int rows) const {
    using V = Simd<Real, kLanes>;
    V most(Real(0));
    for (int y = 0; y < rows; ++y)
      for (int x = 0; x < kTile; x += kLanes) most = maximum(most, V::load(base + y * row + x));
    for (int lane = 0; lane < kLanes; ++lane)
      if (most[lane] >= Real(kMinTransmittance)) return false;
    return true;
  }
};

template <class Real>
struct WeightStatistics {
  Simd<Real, kLanes> sum{Real(0)}, most{Real(0)};

  S3D_HD void add(Simd<Real, kLanes> weight) {
    sum = sum + weight;
    most = maximum(most, weight);
  }
  void store(Real* slot) const {
    Real largest = 0;
    for (int lane = 0; lane < kLanes; ++lane) largest = most[lane] > largest ? most[lane] : largest;
    slot[0] = horizontal_sum(sum);
    slot[1] = largest;
  }
};

// kExtras: statistics and the median depth are taken where `frame` asks for them.
template <int kChannels, bool kExtras, class Real>
S3D_HD void blend_strip(const Frame<Real>& frame, const Footprint<Real>& footprint, int first, Range rows,
                        const ForwardPlanes<Real>& planes, const Real* values, WeightStatistics<Real>* statistics) {
  using V = Simd<Real, kLanes>;
  const Record<Real>& s = footprint.splat;
  const V dx = V(Real(first) - footprint.x) + V::iota();
  const V base = multiply_add(V(s.a) * dx, dx, V(s.log2_opacity)), slope = V(s.b) * dx;
  V colour[kChannels ? kChannels : 1];
  for (int c = 0; c < kChannels; ++c) colour[c] = V(values[c]);
  for (int y = rows.first; y <= rows.last; ++y) {
    const V dy(Real(y) - footprint.y);
    const V exponent = multiply_add(multiply_add(V(s.c), dy, slope), dy, base);
    Real* plane = planes.base + y * planes.row + first;
    const V transmittance = V::load(plane);
    const V weight = blend_alpha(exponent, transmittance) * transmittance;
    const V left = transmittance - weight;
    left.store(plane);
    if constexpr (kExtras) {
      if (frame.with_median_depth) {
        Real* median = plane + planes.median;
        select(is_median(transmittance, left), V(s.channels[kDepthChannel]), V::load(median)).store(median);
      }
      statistics->add(weight);
    }
    plane += kTileStride;
    if constexpr (kChannels > 0) {
      for (int c = 0; c < kChannels; ++c, plane += kTileStride)
        multiply_add(weight, colour[c], V::load(plane)).store(plane);
    } else {
      for (int c = 0; c < frame.channels; ++c, plane += kTileStride)
        multiply_add(weight, V(values[c]), V::load(plane)).store(plane);
    }
  }
}

template <class Real>
void write_tile(const Frame<Real>& frame, const TileArea& area, const ForwardPlanes<Real>& planes) {
  const int width = int(frame.camera.width);
  for (int y = 0; y < area.rows; ++y) {
    const int64_t row = int64_t(area.y + y) * width + area.x;
    Real* transmittance = planes.base + y * planes.row;
    const Real* channel = transmittance + kTileStride;
    if (frame.mask)
      for (int x = 0; x < area.columns; ++x)
        if (!frame.mask[row + x]) transmittance[x] = Real(1);
    Real* rgb = frame.rgb + 3 * row;
    for (int x = 0; x < area.columns; ++x) {
      for (int c = 0; c < 3; ++c)
        rgb[3 * x + c] = channel[c * kTileStride + x] + transmittance[x] * frame.background[c];
      frame.alpha[row + x] = Real(1) - transmittance[x];
    }
    if (frame.with_depth)
      for (int x = 0; x < area.columns; ++x) {
        const Real alpha = Real(1) - transmittance[x];
        frame.depth[row + x] = alpha > Real(kMinDepthAlpha) ? channel[3 * kTileStride + x] / alpha : Real(0);
      }
    if (frame.with_median_depth)
      std::memcpy(frame.median_depth + row, transmittance + planes.median, size_t(area.columns) * sizeof(Real));
    if (frame.with_normals)
      for (int c = 0; c < 3; ++c)
        for (int x = 0; x < area.columns; ++x)
          frame.normals[3 * (row + x) + c] = channel[(frame.first_normal + c) * kTileStride + x];
    for (int c = 0; c < frame.features; ++c)
      for (int x = 0; x < area.columns; ++x)
        frame.image_values[(row + x) * frame.features + c] = channel[(frame.first_feature + c) * kTileStride + x];
  }
}

template <class Real>
Real* statistics_slot(const Frame<Real>& frame, uint32_t index, TilePlace tile) {
  return frame.statistics_slots + 2 * instance_slot(frame, index, tile);
}

template <int kChannels, bool kExtras, class Real>
void forward_tile(const Frame<Real>& frame, int tile, Real* scratch) {
  const TileArea area(frame, tile);
  const ForwardPlanes<Real> planes(scratch, frame, area);
  const TilePlace place(frame, tile);
  const uint32_t begin = frame.tile_begin[tile], end = frame.tile_begin[tile + 1];
  const bool with_statistics = kExtras && frame.with_statistics;
  uint32_t i = begin;
  const bool empty = frame.mask && planes.opaque(area.rows);
  for (; i < end && !empty; ++i) {
    if ((i - begin) % kOpacityCheck == kOpacityCheck - 1 && planes.opaque(area.rows)) break;
    if (i + kPrefetch < end) __builtin_prefetch(frame.records + frame.instances[i + kPrefetch]);
    const uint32_t index = frame.instances[i];
    const Footprint<Real> footprint(frame.records[index], area);
    const Real* values = splat_values(frame, index);
    WeightStatistics<Real> statistics;
    for (int first = footprint.columns.first; first <= footprint.columns.last; first += kLanes)
      blend_strip<kChannels, kExtras>(frame, footprint, first, footprint.rows(first), planes, values, &statistics);
    if (with_statistics) statistics.store(statistics_slot(frame, index, place));
  }
  frame.tile_end_used[tile] = i;
  if (with_statistics)
    for (; i < end; ++i) WeightStatistics<Real>().store(statistics_slot(frame, frame.instances[i], place));
  write_tile(frame, area, planes);
}

}  // namespace

template <class Real>
void raster_forward_tile(const Frame<Real>& frame, int tile, Real* scratch) {
  if (frame.with_statistics || frame.with_median_depth) return forward_tile<0, true>(frame, tile, scratch);
  if (frame.channels == 3) return forward_tile<3, false>(frame, tile, scratch);
  if (frame.channels == 4) return forward_tile<4, false>(frame, tile, scratch);
  if (frame.channels == 7) return forward_tile<7, false>(frame, tile, scratch);
  forward_tile<0, false>(frame, tile, scratch);
}

template void raster_forward_tile<float>(const Frame<float>&, int, float*);
#ifdef S3D_WITH_DOUBLE
template void raster_forward_tile<double>(const Frame<double>&, int, double*);
#endif

}  // namespace S3D_ISA
}  // namespace s3d
