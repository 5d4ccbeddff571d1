// Blends one tile front to back.
#include <cstring>

#include "kernels.h"
#include "sparse3d/blending.h"
#include "sparse3d/simd.h"
#include "strip.h"

namespace s3d {
namespace S3D_ISA {
namespace {

// How often a tile looks whether all of its pixels are opaque.
constexpr uint32_t kOpacityCheck = 4 * kBatch;

// Transmittance, the channels, then the median depth where asked for.
template <class Real>
struct ForwardPlanes : Planes<Real> {
  int median;  // offset of the median depth

  ForwardPlanes(Real* scratch, const Frame<Real>& frame, const TileArea& area)
      : Planes<Real>(scratch, frame.channels + 1 + (frame.with_median_depth ? 1 : 0)),
        median((frame.channels + 1) * kPlaneStride) {
    this->fill_lines(area.rows, [&](int y, Real* transmittance) {
      for (int x = 0; x < area.columns; ++x) transmittance[x] = Real(pixel_wanted(frame, area, x, y) ? 1 : 0);
    });
  }

  bool opaque() const {
    using V = StripVector<Real>;
    V most(Real(0));
    for (int group = 0; group < kRowGroups; ++group)
      for (int x = 0; x < kTile * kRowGroup; x += kStripLanes)
        most = maximum(most, V::load(this->base + group * this->group_stride + x));
    for (int lane = 0; lane < kStripLanes; ++lane)
      if (most[lane] >= Real(kMinTransmittance)) return false;
    return true;
  }
};

template <class Real>
struct WeightStatistics {
  StripVector<Real> sum{Real(0)}, most{Real(0)};

  S3D_HD void add(StripVector<Real> weight) {
    sum = sum + weight;
    most = maximum(most, weight);
  }
  void store(Real* slot) const {
    Real largest = 0;
    for (int lane = 0; lane < kStripLanes; ++lane) largest = most[lane] > largest ? most[lane] : largest;
    slot[0] = horizontal_sum(fold<kLanes>(sum));
    slot[1] = largest;
  }
};

// kExtras: statistics and the median depth are taken where `frame` asks for them.
template <int kChannels, bool kExtras, class Real>
S3D_HD void blend_strip(const Frame<Real>& frame, const Footprint<Real>& footprint, int first,
                        const ForwardPlanes<Real>& planes, const Real* values, WeightStatistics<Real>* statistics) {
  using V = StripVector<Real>;
  StripCursor<Real> cursor(footprint, first);
  V colour[kChannels ? kChannels : 1];
  for (int c = 0; c < kChannels; ++c) colour[c] = V(values[c]);
  const int stride = kChannels && !kExtras ? (kChannels + 1) * kPlaneStride : planes.group_stride;
  Real* group = planes.base + cursor.group * stride + first * kRowGroup;
  for (; cursor.inside(); cursor.next(), group += stride) {
    Real* plane = group;
    const V transmittance = V::load_once(plane);
    const V weight = blend_alpha(cursor.exponent(), transmittance) * transmittance;
    const V left = transmittance - weight;
    left.store(plane);
    if constexpr (kExtras) {
      if (frame.with_median_depth) {
        Real* median = plane + planes.median;
        select(is_median(transmittance, left), V(footprint.record->channels[kDepthChannel]), V::load(median))
            .store(median);
      }
      statistics->add(weight);
    }
    plane += kPlaneStride;
    if constexpr (kChannels > 0) {
      for (int c = 0; c < kChannels; ++c, plane += kPlaneStride)
        multiply_add(weight, colour[c], V::load(plane)).store(plane);
    } else {
      for (int c = 0; c < frame.channels; ++c, plane += kPlaneStride)
        multiply_add(weight, V(values[c]), V::load(plane)).store(plane);
    }
  }
}

template <class Real>
void write_line(const Frame<Real>& frame, const TileArea& area, int y, Real* transmittance) {
  const int64_t row = int64_t(area.y + y) * int(frame.camera.width) + area.x;
  const Real* channel = transmittance + kTileStride;
  if (frame.mask)
    for (int x = 0; x < area.columns; ++x)
      if (!frame.mask[row + x]) transmittance[x] = Real(1);
  Real* rgb = frame.rgb + 3 * row;
#pragma GCC ivdep
  for (int x = 0; x < area.columns; ++x) {
    for (int c = 0; c < 3; ++c) rgb[3 * x + c] = channel[c * kTileStride + x] + transmittance[x] * frame.background[c];
    frame.alpha[row + x] = Real(1) - transmittance[x];
  }
  if (frame.with_depth)
    for (int x = 0; x < area.columns; ++x) {
      const Real alpha = Real(1) - transmittance[x];
      frame.depth[row + x] = alpha > Real(kMinDepthAlpha) ? channel[3 * kTileStride + x] / alpha : Real(0);
    }
  if (frame.with_median_depth)
    std::memcpy(frame.median_depth + row, channel + frame.channels * kTileStride, size_t(area.columns) * sizeof(Real));
  if (frame.with_normals) {
    Real* normals = frame.normals + 3 * row;
#pragma GCC ivdep
    for (int x = 0; x < area.columns; ++x)
      for (int c = 0; c < 3; ++c) normals[3 * x + c] = channel[(frame.first_normal + c) * kTileStride + x];
  }
  for (int c = 0; c < frame.features; ++c)
    for (int x = 0; x < area.columns; ++x)
      frame.image_values[(row + x) * frame.features + c] = channel[(frame.first_feature + c) * kTileStride + x];
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
  Footprint<Real> footprints[kBatch];
  uint32_t i = begin;
  const bool empty = frame.mask && planes.opaque();
  while (i < end && !empty) {
    if (i > begin && (i - begin) % kOpacityCheck == 0 && planes.opaque()) break;
    const uint32_t* batch = frame.instances + i;
    const uint32_t count = minimum_count(end - i, kBatch), ahead = minimum_count(end - i, 2 * kBatch);
    for (uint32_t k = kBatch; k < ahead; ++k) prefetch_splat(frame, batch[k]);
    for (uint32_t k = 0; k < count; ++k) footprints[k] = Footprint<Real>(frame.records[batch[k]], area);
    for (uint32_t k = 0; k < count; ++k) {
      const Footprint<Real>& footprint = footprints[k];
      const Real* values = splat_values(frame, batch[k]);
      WeightStatistics<Real> statistics;
      for (int first = footprint.columns.first; first <= footprint.columns.last; first += kLanes)
        blend_strip<kChannels, kExtras>(frame, footprint, first, planes, values, &statistics);
      if (with_statistics) statistics.store(statistics_slot(frame, batch[k], place));
    }
    i += count;
  }
  frame.tile_end_used[tile] = i;
  if (with_statistics)
    for (; i < end; ++i) WeightStatistics<Real>().store(statistics_slot(frame, frame.instances[i], place));
  planes.read_lines(area.rows, [&](int y, Real* line) { write_line(frame, area, y, line); });
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
