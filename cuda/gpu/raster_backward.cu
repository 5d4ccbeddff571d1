// Differentiates a tile, front to back again: a scalar residual per pixel stands for all that lies behind. Each warp
// sums its patch by shuffles, the block sums its warps in order, and the tile's sums for a splat go to a place of their
// own, from which gather_backward.cu collects them: no atomics, and the same bytes every time.
#include "kernels.h"
#include "sparse3d/blending.h"
#include "tile.h"
#include "warp.h"

namespace s3d {
namespace gpu {
namespace {

// Sums per splat: moments, channels and, where there are more than four channels, one for the median depth.
S3D_HD constexpr int sums_of(int channels) { return kMoments + channels + (channels > 4); }
// As many splats as fit in shared memory with a place for each warp's sums.
S3D_HD constexpr int backward_batch(int channels) { return channels <= 4 ? 64 : channels <= 16 ? 32 : 16; }

// Blocks a multiprocessor is to hold, which leaves as many registers as the kernels need without spilling.
constexpr int backward_blocks(int channels) { return channels <= 8 ? 4 : channels <= 16 ? 3 : 2; }

// A pixel's upstream gradients and the state of its replay.
template <int kChannels, class Real>
struct Replay {
  Real transmittance, residual, median;
  Real g[kChannels];
};

// Channels that are blended sums with nothing behind them.
template <int kChannels, class Real>
__device__ void load_sums(const Real* upstream, const Real* image, int64_t at, int first, int count,
                          Replay<kChannels, Real>* p) {
  if (!upstream) return;
#pragma unroll
  for (int c = 3; c < kChannels; ++c) {
    if (c < first || c >= first + count) continue;
    const int64_t i = at * count + c - first;
    p->g[c] = upstream[i];
    p->residual += p->g[c] * image[i];
  }
}

// Starts the residual at d loss / d (everything): sum of gradient * image - T_end * g_alpha.
template <int kChannels, class Real>
__device__ Replay<kChannels, Real> load_replay(const Frame<Real>& f, const Pixel<Real>& pixel) {
  Replay<kChannels, Real> p{};
  if (!pixel.wanted) return p;
  const int64_t at = pixel.at;
  const Real alpha = f.alpha[at];
  p.transmittance = Real(1);
  for (int c = 0; c < 3; ++c) {
    p.g[c] = f.g_rgb ? f.g_rgb[3 * at + c] : Real(0);
    p.residual += p.g[c] * f.rgb[3 * at + c];
  }
  if (f.g_alpha) p.residual -= (Real(1) - alpha) * f.g_alpha[at];
  if constexpr (kChannels > 3) {
    // Mean depth is the blended sum over alpha: its gradient reaches both.
    if (f.with_depth && f.g_depth && alpha > Real(kMinDepthAlpha)) {
      const Real g_sum = f.g_depth[at] / alpha, g_alpha = -g_sum * f.depth[at];
      p.g[3] = g_sum;
      p.residual += f.g_depth[at] * f.depth[at] - (Real(1) - alpha) * g_alpha;
    }
  }
  if constexpr (kChannels > 4) {
    if (f.with_median_depth && f.g_median_depth) p.median = f.g_median_depth[at];
    if (f.with_normals) load_sums(f.g_normals, f.normals, at, f.first_normal, 3, &p);
    load_sums(f.g_values, f.image_values, at, f.first_feature, f.features, &p);
  }
  return p;
}

// Blends one splat at one pixel and fills the pixel's share of the splat's sums. False where it adds nothing.
template <int kChannels, class Real>
__device__ __forceinline__ bool differentiate(const Splat<Real>& splat, const Real* values, const Pixel<Real>& pixel,
                                              Replay<kChannels, Real>* p, Real (&sums)[sums_of(kChannels)]) {
  const Real dx = pixel.x - splat.x, dy = pixel.y - splat.y;
  const Real before = p->transmittance, alpha = blend_alpha(exponent_at(splat, dx, dy), before);
  const Real weight = alpha * before, after = multiply_add(-alpha, before, before);
  p->transmittance = after;
  Real shade(0);
#pragma unroll
  for (int c = 0; c < kChannels; ++c) {
    shade = multiply_add(p->g[c], values[c], shade);
    sums[kMoments + c] = weight * p->g[c];
  }
  if constexpr (kChannels > 4) sums[kMoments + kChannels] = select(is_median(before, after), p->median, Real(0));
  const Real weighted_shade = weight * shade;
  p->residual -= weighted_shade;
  const Real g = blend_backward(alpha, weighted_shade, p->residual), g_dx = g * dx, g_dy = g * dy;
  sums[0] = g;
  sums[1] = g_dx;
  sums[2] = g_dy;
  sums[3] = g_dx * dx;
  sums[4] = g_dx * dy;
  sums[5] = g_dy * dy;
  return alpha > Real(0);
}

// Sums N values over the warp, lane by lane into shared memory.
template <int N, class Real>
__device__ __forceinline__ void store_warp_sums(const Real (&sums)[N], int lane, Real* out) {
  if constexpr (N <= kWarpSize) {
    const Real total = sum_over_warp(sums, lane);
    const int place = sum_of_lane<N>(lane);
    if (place >= 0) out[place] = total;
  } else {
    Real head[kWarpSize], tail[N - kWarpSize];
#pragma unroll
    for (int i = 0; i < kWarpSize; ++i) head[i] = sums[i];
#pragma unroll
    for (int i = kWarpSize; i < N; ++i) tail[i - kWarpSize] = sums[i];
    store_warp_sums(head, lane, out);
    store_warp_sums(tail, lane, out + kWarpSize);
  }
}

template <int kChannels, class Real>
struct BackwardShared {
  static constexpr int kBatch = backward_batch(kChannels), kSums = sums_of(kChannels);
  Batch<kChannels, kBatch, Real> batch;
  Real partial[kWarps][kBatch][kSums];
  uint32_t touched[kWarps][(kBatch + kWarpSize - 1) / kWarpSize];  // by which splats, one bit each
};

// The sums of the block's warps in order; those of channels that are not in use are left out.
template <int kChannels, class Real>
__device__ void store_block_sums(const Frame<Real>& f, const BackwardShared<kChannels, Real>& s, uint32_t begin,
                                 int count) {
  constexpr int kSums = sums_of(kChannels);
  for (int i = int(threadIdx.x); i < count * kSums; i += kThreads) {
    const int k = i / kSums, sum = i % kSums, channel = sum - kMoments;
    Real total(0);
    for (int warp = 0; warp < kWarps; ++warp)
      if (s.touched[warp][k / kWarpSize] >> (k % kWarpSize) & 1) total += s.partial[warp][k][sum];
    const bool median = channel == kChannels;
    if (median ? !f.with_median_depth : channel >= f.channels) continue;
    Real* slot = f.slots + int64_t(f.instances_sorted[begin + unsigned(k)]) * f.slot_stride;
    slot[median ? kMoments + f.channels : sum] = total;
  }
}

template <class Real>
__device__ void clear_slots(const Frame<Real>& f, uint32_t begin, uint32_t end) {
  const int64_t values = int64_t(end - begin) * f.slot_stride;
  for (int64_t i = threadIdx.x; i < values; i += kThreads)
    f.slots[int64_t(f.instances_sorted[begin + i / f.slot_stride]) * f.slot_stride + i % f.slot_stride] = Real(0);
}

template <int kChannels, class Real>
__global__ __launch_bounds__(kThreads, backward_blocks(kChannels)) void backward_kernel(Frame<Real> f) {
  constexpr int kBatch = backward_batch(kChannels);
  __shared__ BackwardShared<kChannels, Real> s;
  if (f.demand->overflow) return;
  const Pixel<Real> pixel(f);
  const uint2 range = instances_of_tile(f);
  Replay<kChannels, Real> p = load_replay<kChannels>(f, pixel);
  uint32_t begin = range.x;
  for (; begin < range.y; begin += kBatch) {
    if (!__syncthreads_or(p.transmittance >= Real(kMinTransmittance))) break;
    const int count = int(range.y - begin < kBatch ? range.y - begin : kBatch);
    s.batch.load(f, begin, count);
    __syncthreads();
    for (int first = 0; first < count; first += kWarpSize) {
      uint32_t touched = 0, left = 0;
      if (__any_sync(kFullWarp, p.transmittance >= Real(kMinTransmittance)))
        left = splats_of_patch(s.batch.splats + first, count - first, pixel);
      while (left) {
        const int bit = take_lowest(&left), k = first + bit;
        Real sums[sums_of(kChannels)];
        const bool adds = differentiate(s.batch.splats[k], s.batch.values[k], pixel, &p, sums);
        if (!__any_sync(kFullWarp, adds)) continue;
        touched |= 1u << bit;
        store_warp_sums(sums, pixel.lane, s.partial[pixel.warp][k]);
      }
      if (pixel.lane == 0) s.touched[pixel.warp][first / kWarpSize] = touched;
    }
    __syncthreads();
    store_block_sums(f, s, begin, count);
  }
  clear_slots(f, begin < range.y ? begin : range.y, range.y);
}

}  // namespace

int slot_stride(int channels, bool with_median_depth) {
  return (kMoments + channels + (with_median_depth ? 1 : 0) + 3) / 4 * 4;
}

template <class Real>
void raster_backward(const Frame<Real>& f, cudaStream_t stream) {
  const bool extra = f.with_median_depth || f.with_normals || f.features > 0;
  const auto kernel = !extra && f.channels == 3 ? backward_kernel<3, Real>
                      : !extra                  ? backward_kernel<4, Real>
                      : f.channels <= 8         ? backward_kernel<8, Real>
                      : f.channels <= 16        ? backward_kernel<16, Real>
                                                : backward_kernel<40, Real>;
  launch("differentiating", kernel, dim3(unsigned(f.tiles()), unsigned(f.views)), kThreads, stream, f);
}

template void raster_backward<float>(const Frame<float>&, cudaStream_t);
#ifdef S3D_WITH_DOUBLE
template void raster_backward<double>(const Frame<double>&, cudaStream_t);
#endif

}  // namespace gpu
}  // namespace s3d
