// Differentiates one tile, front to back again: a scalar residual per pixel stands for all that lies behind.
#include <cstring>

#include "kernels.h"
#include "sparse3d/blending.h"
#include "sparse3d/simd.h"
#include "strip.h"

namespace s3d {
namespace S3D_ISA {
namespace {

// Transmittance, residual, a gradient per channel, then that of the median depth where asked for.
template <class Real>
int planes_in(const Frame<Real>& frame) {
  return frame.channels + 2 + (frame.with_median_depth ? 1 : 0);
}

// Mean depth is the blended sum over alpha: its gradient reaches both.
template <class Real>
void load_depth_row(const Frame<Real>& frame, int64_t row, int columns, Real* gradient, Real* residual) {
  for (int x = 0; x < columns; ++x) {
    const Real alpha = frame.alpha[row + x];
    if (!(alpha > Real(kMinDepthAlpha))) continue;
    const Real g_sum = frame.g_depth[row + x] / alpha, g_alpha = -g_sum * frame.depth[row + x];
    gradient[x] = g_sum;
    residual[x] += frame.g_depth[row + x] * frame.depth[row + x] - (Real(1) - alpha) * g_alpha;
  }
}

// Channels that are blended sums with nothing behind them.
template <class Real>
void load_channels(const Real* upstream, const Real* image, int channels, int columns, Real* gradient, Real* residual) {
  if (channels == 3) {
#pragma GCC ivdep
    for (int x = 0; x < columns; ++x) {
      const Real a = upstream[3 * x], b = upstream[3 * x + 1], c = upstream[3 * x + 2];
      gradient[x] = a;
      gradient[kTileStride + x] = b;
      gradient[2 * kTileStride + x] = c;
      residual[x] += a * image[3 * x] + b * image[3 * x + 1] + c * image[3 * x + 2];
    }
    return;
  }
  for (int c = 0; c < channels; ++c)
    for (int x = 0; x < columns; ++x) {
      gradient[c * kTileStride + x] = upstream[x * channels + c];
      residual[x] += upstream[x * channels + c] * image[x * channels + c];
    }
}

// Pixels that were not drawn give nothing, whatever their upstream gradients are.
template <class Real>
void clear_masked(const uint8_t* mask, int columns, Real* transmittance, int planes_in_row) {
  for (int x = 0; x < columns; ++x)
    if (!mask[x])
      for (int plane = 0; plane < planes_in_row; plane += kTileStride) transmittance[plane + x] = Real(0);
}

// Loads the gradients and starts the residual at d loss / d (everything): sum of gradient * image - T_end * g_alpha.
template <class Real>
void load_line(const Frame<Real>& frame, const TileArea& area, int y, Real* transmittance) {
  const int64_t row = int64_t(area.y + y) * int(frame.camera.width) + area.x;
  Real *residual = transmittance + kTileStride, *gradient = residual + kTileStride;
  for (int x = 0; x < area.columns; ++x) transmittance[x] = Real(1);
  if (frame.g_alpha) {
    const Real *alpha = frame.alpha + row, *g_alpha = frame.g_alpha + row;
#pragma GCC ivdep
    for (int x = 0; x < area.columns; ++x) residual[x] = (alpha[x] - Real(1)) * g_alpha[x];
  }
  load_channels(frame.g_rgb + 3 * row, frame.rgb + 3 * row, 3, area.columns, gradient, residual);
  if (frame.with_depth && frame.g_depth) load_depth_row(frame, row, area.columns, gradient + 3 * kTileStride, residual);
  if (frame.with_median_depth && frame.g_median_depth)
    std::memcpy(gradient + frame.channels * kTileStride, frame.g_median_depth + row,
                size_t(area.columns) * sizeof(Real));
  if (frame.with_normals && frame.g_normals)
    load_channels(frame.g_normals + 3 * row, frame.normals + 3 * row, 3, area.columns,
                  gradient + frame.first_normal * kTileStride, residual);
  if (frame.features && frame.g_values)
    load_channels(frame.g_values + row * frame.features, frame.image_values + row * frame.features, frame.features,
                  area.columns, gradient + frame.first_feature * kTileStride, residual);
  if (frame.mask) clear_masked(frame.mask + row, area.columns, transmittance, planes_in(frame) * kTileStride);
}

// Sums over a strip's pixels, column by column: of g = d loss / d ln(alpha), of g times offsets in y, and of weight *
// gradient per channel.
template <int kChannels, class Real>
struct StripSums {
  using V = StripVector<Real>;
  V dx;
  V g{Real(0)}, g_dy{Real(0)}, g_dydy{Real(0)};
  V channel[kChannels ? kChannels : kMaxChannels];
  V median{Real(0)};
};

// Sums over all of a splat's pixels, lane by lane.
template <int kChannels, class Real>
struct SplatSums {
  using V = StripVector<Real>;
  V g, g_dx, g_dy, g_dxdx, g_dxdy, g_dydy;
  V channel[kChannels ? kChannels : kMaxChannels];
  V median;

  S3D_HD SplatSums(const StripSums<kChannels, Real>& strip, int channels)
      : g(strip.g),
        g_dx(strip.g * strip.dx),
        g_dy(strip.g_dy),
        g_dxdx(g_dx * strip.dx),
        g_dxdy(strip.g_dy * strip.dx),
        g_dydy(strip.g_dydy),
        median(strip.median) {
    for (int c = 0; c < (kChannels ? kChannels : channels); ++c) channel[c] = strip.channel[c];
  }
  S3D_HD void add(const SplatSums& o, int channels) {
    g = g + o.g;
    g_dx = g_dx + o.g_dx;
    g_dy = g_dy + o.g_dy;
    g_dxdx = g_dxdx + o.g_dxdx;
    g_dxdy = g_dxdy + o.g_dxdy;
    g_dydy = g_dydy + o.g_dydy;
    for (int c = 0; c < (kChannels ? kChannels : channels); ++c) channel[c] = channel[c] + o.channel[c];
    median = median + o.median;
  }

  S3D_HD void store(const Frame<Real>& frame, Real* slot) const {
    const V first[8] = {g, g_dx, g_dy, g_dxdx, g_dxdy, g_dydy, channel[0], channel[1]};
    horizontal_sums(first).store(slot);
    if constexpr (kChannels ==
                  7) {  // a second group of eight costs less than five sums of their own; the slot holds 16
      const V zero(Real(0)), second[8] = {channel[2], channel[3], channel[4], channel[5], channel[6], zero, zero, zero};
      return horizontal_sums(second).store(slot + 8);
    }
    const int channels = kChannels ? kChannels : frame.channels;
    for (int c = 2; c < channels; ++c) slot[kMoments + c] = horizontal_sum(fold<kLanes>(channel[c]));
    if constexpr (kChannels == 0)
      if (frame.with_median_depth) slot[kMoments + channels] = horizontal_sum(fold<kLanes>(median));
  }
};

template <int kChannels, class Real>
S3D_HD StripSums<kChannels, Real> differentiate_strip(const Frame<Real>& frame, const Footprint<Real>& footprint,
                                                      int first, const Planes<Real>& planes, const Real* values) {
  using V = StripVector<Real>;
  StripCursor<Real> cursor(footprint, first);
  const int count = kChannels ? kChannels : frame.channels;
  const int stride = kChannels ? (kChannels + 2) * kPlaneStride : planes.group_stride;
  Real* plane = planes.base + cursor.group * stride + first * kRowGroup;
  V value[kChannels ? kChannels : 1];
  for (int c = 0; c < kChannels; ++c) value[c] = V(values[c]);
  StripSums<kChannels, Real> sums;
  sums.dx = cursor.dx;
  for (int c = 0; c < count; ++c) sums.channel[c] = V(Real(0));
  for (; cursor.inside(); cursor.next(), plane += stride) {
    const V transmittance = V::load_once(plane);
    const V alpha = blend_alpha(cursor.exponent(), transmittance);
    const V weight = alpha * transmittance;
    const V left = transmittance - weight;
    left.store(plane);
    if constexpr (kChannels == 0)
      if (frame.with_median_depth)
        sums.median = sums.median +
                      select(is_median(transmittance, left), V::load(plane + (2 + count) * kPlaneStride), V(Real(0)));
    V shade(Real(0));
    const Real* gradient = plane + 2 * kPlaneStride;
    for (int c = 0; c < count; ++c, gradient += kPlaneStride) {
      const V g = V::load_once(gradient);
      shade = multiply_add(g, kChannels ? value[kChannels ? c : 0] : V(values[c]), shade);
      sums.channel[c] = multiply_add(weight, g, sums.channel[c]);
    }
    const V weighted_shade = weight * shade;
    const V behind = V::load(plane + kPlaneStride) - weighted_shade;
    behind.store(plane + kPlaneStride);
    const V g = blend_backward(alpha, weighted_shade, behind);
    const V g_dy = g * cursor.dy;
    sums.g = sums.g + g;
    sums.g_dy = sums.g_dy + g_dy;
    sums.g_dydy = multiply_add(g_dy, cursor.dy, sums.g_dydy);
  }
  return sums;
}

// The strips behind the first, which most splats do not have.
template <int kChannels, class Real>
__attribute__((noinline)) void add_further_strips(const Frame<Real>& frame, const Footprint<Real>& footprint,
                                                  const Planes<Real>& planes, const Real* values,
                                                  SplatSums<kChannels, Real>* sums) {
  for (int first = footprint.columns.first + kLanes; first <= footprint.columns.last; first += kLanes)
    sums->add({differentiate_strip<kChannels>(frame, footprint, first, planes, values), frame.channels},
              frame.channels);
}

template <class Real>
Real* gradient_slot(const Frame<Real>& frame, uint32_t index, TilePlace tile) {
  return frame.slots + instance_slot(frame, index, tile) * frame.slot_stride;
}

// The slots of a batch of instances, fetched to be written: they are scattered over memory and straddle cache lines.
template <class Real>
void find_slots(const Frame<Real>& frame, const uint32_t* batch, uint32_t count, TilePlace place, Real** slots) {
  for (uint32_t k = 0; k < count; ++k) {
    slots[k] = gradient_slot(frame, batch[k], place);
    __builtin_prefetch(slots[k], 1);
    __builtin_prefetch(slots[k] + frame.slot_stride - 1, 1);
  }
}

template <int kChannels, class Real>
void backward_tile(const Frame<Real>& frame, int tile, Real* scratch) {
  const TileArea area(frame, tile);
  Planes<Real> planes(scratch, planes_in(frame));
  planes.fill_lines(area.rows, [&](int y, Real* line) { load_line(frame, area, y, line); });
  const TilePlace place(frame, tile);
  const uint32_t begin = frame.tile_begin[tile], used = frame.tile_end_used[tile], end = frame.tile_begin[tile + 1];
  // One batch ahead the slots, two ahead the records that tell where these are.
  const auto batch_count = [used](uint32_t i) { return i < used ? minimum_count(used - i, kBatch) : 0; };
  Footprint<Real> footprints[kBatch];
  Real* slots[2][kBatch];
  find_slots(frame, frame.instances + begin, batch_count(begin), place, slots[0]);
  for (uint32_t i = begin, turn = 0; i < used; i += kBatch, turn ^= 1) {
    const uint32_t* batch = frame.instances + i;
    const uint32_t count = batch_count(i);
    for (uint32_t k = 0; k < batch_count(i + 2 * kBatch); ++k) prefetch_splat(frame, batch[2 * kBatch + k]);
    find_slots(frame, batch + kBatch, batch_count(i + kBatch), place, slots[turn ^ 1]);
    for (uint32_t k = 0; k < count; ++k) footprints[k] = Footprint<Real>(frame.records[batch[k]], area);
    for (uint32_t k = 0; k < count; ++k) {
      const Footprint<Real>& footprint = footprints[k];
      const Real* values = splat_values(frame, batch[k]);
      const int first = footprint.columns.first;
      SplatSums<kChannels, Real> sums(differentiate_strip<kChannels>(frame, footprint, first, planes, values),
                                      frame.channels);
      if (footprint.columns.last - first >= kLanes) {
        SplatSums<kChannels, Real> all = sums;  // a copy in memory, so that `sums` may stay in registers
        add_further_strips<kChannels>(frame, footprint, planes, values, &all);
        all.store(frame, slots[turn][k]);
      } else {
        sums.store(frame, slots[turn][k]);
      }
    }
  }
  for (uint32_t i = used; i < end; ++i)
    std::memset(gradient_slot(frame, frame.instances[i], place), 0, size_t(frame.slot_stride) * sizeof(Real));
}

}  // namespace

template <class Real>
void raster_backward_tile(const Frame<Real>& frame, int tile, Real* scratch) {
  if (frame.with_median_depth) return backward_tile<0>(frame, tile, scratch);
  if (frame.channels == 3) return backward_tile<3>(frame, tile, scratch);
  if (frame.channels == 4) return backward_tile<4>(frame, tile, scratch);
  if (frame.channels == 7) return backward_tile<7>(frame, tile, scratch);
  backward_tile<0>(frame, tile, scratch);
}

template void raster_backward_tile<float>(const Frame<float>&, int, float*);
#ifdef S3D_WITH_DOUBLE
template void raster_backward_tile<double>(const Frame<double>&, int, double*);
#endif

}  // namespace S3D_ISA
}  // namespace s3d
