// Differentiates one tile, front to back again: a scalar residual per pixel stands for all that lies behind.
#include <cstring>

#include "footprint.h"
#include "kernels.h"
#include "sparse3d/blending.h"
#include "sparse3d/simd.h"

namespace s3d {
namespace S3D_ISA {
namespace {

constexpr uint32_t kPrefetch = 8;

// Rows of transmittance, residual, a gradient per channel, then that of the median depth, kTileStride apart.
template <class Real>
struct BackwardPlanes {
  Real* base;
  int row;     // distance of two rows
  int median;  // offset of the median depth's gradient
};

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
void load_channels(const Real* upstream, const Real* image, int channels, int64_t row, int columns, Real* gradient,
                   Real* residual) {
  for (int c = 0; c < channels; ++c)
    for (int x = 0; x < columns; ++x) {
      const int64_t i = (row + x) * channels + c;
      gradient[c * kTileStride + x] = upstream[i];
      residual[x] += upstream[i] * image[i];
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
BackwardPlanes<Real> load_tile(const Frame<Real>& frame, const TileArea& area, Real* scratch) {
  const int median = (frame.channels + 2) * kTileStride;
  const BackwardPlanes<Real> planes{scratch, median + (frame.with_median_depth ? kTileStride : 0), median};
  std::memset(scratch, 0, size_t(planes.row) * kTile * sizeof(Real));
  const int width = int(frame.camera.width);
  for (int y = 0; y < area.rows; ++y) {
    const int64_t row = int64_t(area.y + y) * width + area.x;
    Real *transmittance = planes.base + y * planes.row, *residual = transmittance + kTileStride;
    Real* gradient = residual + kTileStride;
    const Real *g_rgb = frame.g_rgb + 3 * row, *rgb = frame.rgb + 3 * row;
    for (int x = 0; x < area.columns; ++x) {
      transmittance[x] = Real(1);
      const Real r = g_rgb[3 * x], g = g_rgb[3 * x + 1], b = g_rgb[3 * x + 2];
      gradient[x] = r;
      gradient[kTileStride + x] = g;
      gradient[2 * kTileStride + x] = b;
      residual[x] = r * rgb[3 * x] + g * rgb[3 * x + 1] + b * rgb[3 * x + 2];
    }
    if (frame.g_alpha)
      for (int x = 0; x < area.columns; ++x) residual[x] -= (Real(1) - frame.alpha[row + x]) * frame.g_alpha[row + x];
    if (frame.with_depth && frame.g_depth)
      load_depth_row(frame, row, area.columns, gradient + 3 * kTileStride, residual);
    if (frame.with_median_depth && frame.g_median_depth)
      std::memcpy(transmittance + planes.median, frame.g_median_depth + row, size_t(area.columns) * sizeof(Real));
    if (frame.with_normals && frame.g_normals)
      load_channels(frame.g_normals, frame.normals, 3, row, area.columns, gradient + frame.first_normal * kTileStride,
                    residual);
    if (frame.features && frame.g_values)
      load_channels(frame.g_values, frame.image_values, frame.features, row, area.columns,
                    gradient + frame.first_feature * kTileStride, residual);
    if (frame.mask) clear_masked(frame.mask + row, area.columns, transmittance, planes.row);
  }
  return planes;
}

// Sums over a splat's pixels: of g = d loss / d ln(alpha), of g times offsets, and of weight * gradient per channel.
template <int kChannels, class Real>
struct SplatSums {
  using V = Simd<Real, kLanes>;
  V g{Real(0)}, g_dx{Real(0)}, g_dy{Real(0)}, g_dxdx{Real(0)}, g_dxdy{Real(0)}, g_dydy{Real(0)};
  V channel[kChannels ? kChannels : kMaxChannels];
  V median{Real(0)};

  S3D_HD explicit SplatSums(int channels) {
    for (int c = 0; c < (kChannels ? kChannels : channels); ++c) channel[c] = V(Real(0));
  }

  void store(const Frame<Real>& frame, Real* slot) const {
    const V first[8] = {g, g_dx, g_dy, g_dxdx, g_dxdy, g_dydy, channel[0], channel[1]};
    horizontal_sums(first).store(slot);
    const int channels = kChannels ? kChannels : frame.channels;
    for (int c = 2; c < channels; ++c) slot[kMoments + c] = horizontal_sum(channel[c]);
    if constexpr (kChannels == 0)
      if (frame.with_median_depth) slot[kMoments + channels] = horizontal_sum(median);
  }
};

template <int kChannels, class Real>
S3D_HD void differentiate_strip(const Frame<Real>& frame, const Footprint<Real>& footprint, int first, Range rows,
                                const BackwardPlanes<Real>& planes, const Real* values,
                                SplatSums<kChannels, Real>* sums) {
  using V = Simd<Real, kLanes>;
  const Record<Real>& s = footprint.splat;
  const V dx = V(Real(first) - footprint.x) + V::iota();
  const V base = multiply_add(V(s.a) * dx, dx, V(s.log2_opacity)), slope = V(s.b) * dx;
  const int count = kChannels ? kChannels : frame.channels;
  V sum(Real(0)), sum_dy(Real(0)), sum_dydy(Real(0));
  for (int y = rows.first; y <= rows.last; ++y) {
    const V dy(Real(y) - footprint.y);
    const V exponent = multiply_add(multiply_add(V(s.c), dy, slope), dy, base);
    Real* plane = planes.base + y * planes.row + first;
    const V transmittance = V::load(plane);
    const V alpha = blend_alpha(exponent, transmittance);
    const V weight = alpha * transmittance;
    const V left = transmittance - weight;
    left.store(plane);
    if constexpr (kChannels == 0)
      if (frame.with_median_depth)
        sums->median =
            sums->median + select(is_median(transmittance, left), V::load(plane + planes.median), V(Real(0)));
    V shade(Real(0));
    const Real* gradient = plane + 2 * kTileStride;
    for (int c = 0; c < count; ++c, gradient += kTileStride) {
      const V g = V::load(gradient);
      shade = multiply_add(g, V(values[c]), shade);
      sums->channel[c] = multiply_add(weight, g, sums->channel[c]);
    }
    const V weighted_shade = weight * shade;
    const V behind = V::load(plane + kTileStride) - weighted_shade;
    behind.store(plane + kTileStride);
    const V g = blend_backward(alpha, weighted_shade, behind);
    const V g_dy = g * dy;
    sum = sum + g;
    sum_dy = sum_dy + g_dy;
    sum_dydy = multiply_add(g_dy, dy, sum_dydy);
  }
  sums->g = sums->g + sum;
  sums->g_dy = sums->g_dy + sum_dy;
  sums->g_dydy = sums->g_dydy + sum_dydy;
  const V sum_dx = sum * dx;
  sums->g_dx = sums->g_dx + sum_dx;
  sums->g_dxdx = multiply_add(sum_dx, dx, sums->g_dxdx);
  sums->g_dxdy = multiply_add(sum_dy, dx, sums->g_dxdy);
}

template <int kChannels, class Real>
void backward_tile(const Frame<Real>& frame, int tile, Real* scratch) {
  const TileArea area(frame, tile);
  const BackwardPlanes<Real> planes = load_tile(frame, area, scratch);
  const TilePlace place(frame, tile);
  const uint32_t begin = frame.tile_begin[tile], used = frame.tile_end_used[tile], end = frame.tile_begin[tile + 1];
  for (uint32_t i = begin; i < used; ++i) {
    // First the record that tells the slot's place, later the slot: both are scattered over memory.
    if (i + 2 * kPrefetch < used) __builtin_prefetch(frame.records + frame.instances[i + 2 * kPrefetch]);
    if (i + kPrefetch < used)
      __builtin_prefetch(frame.slots + instance_slot(frame, frame.instances[i + kPrefetch], place) * frame.slot_stride,
                         1);
    const uint32_t index = frame.instances[i];
    const Footprint<Real> footprint(frame.records[index], area);
    const Real* values = splat_values(frame, index);
    SplatSums<kChannels, Real> sums(frame.channels);
    for (int first = footprint.columns.first; first <= footprint.columns.last; first += kLanes)
      differentiate_strip(frame, footprint, first, footprint.rows(first), planes, values, &sums);
    sums.store(frame, frame.slots + instance_slot(frame, index, place) * frame.slot_stride);
  }
  for (uint32_t i = used; i < end; ++i)
    std::memset(frame.slots + instance_slot(frame, frame.instances[i], place) * frame.slot_stride, 0,
                size_t(frame.slot_stride) * sizeof(Real));
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
