// Blends a tile's splats front to back: one block a tile, one thread a pixel.
#include "kernels.h"
#include "sparse3d/blending.h"
#include "tile.h"

namespace s3d {
namespace gpu {
namespace {

// Batches for many channels are smaller, to leave room for several blocks on a multiprocessor.
S3D_HD constexpr int forward_batch(int channels) { return channels <= 4 ? 128 : channels <= 16 ? 64 : 32; }

// Blocks a multiprocessor is to hold, which leaves as many registers as the kernels need without spilling.
constexpr int forward_blocks(int channels) { return channels <= 16 ? 4 : 2; }

template <int kChannels, class Real>
struct Blended {
  Real transmittance;  // zero from the start for pixels that are not drawn
  Real median;
  Real sums[kChannels];
};

template <int kChannels, class Real>
__device__ __forceinline__ void blend(const Splat<Real>& splat, const Real* values, Real z, const Pixel<Real>& pixel,
                                      Blended<kChannels, Real>* out) {
  const Real exponent = exponent_at(splat, pixel.x - splat.x, pixel.y - splat.y);
  const Real before = out->transmittance, alpha = blend_alpha(exponent, before);
  const Real weight = alpha * before, after = multiply_add(-alpha, before, before);
  if constexpr (kChannels > 4)
    if (is_median(before, after)) out->median = z;
  out->transmittance = after;
#pragma unroll
  for (int c = 0; c < kChannels; ++c) out->sums[c] = multiply_add(weight, values[c], out->sums[c]);
}

template <int kChannels, class Real>
__device__ void write_extra(const Frame<Real>& f, int64_t at, const Blended<kChannels, Real>& p, Real bad) {
  if (f.with_median_depth) f.median_depth[at] = p.median + bad;
#pragma unroll
  for (int c = 3; c < kChannels; ++c) {
    if (f.with_normals && c >= f.first_normal && c < f.first_feature)
      f.normals[3 * at + c - f.first_normal] = p.sums[c] + bad;
    if (c >= f.first_feature && c < f.channels) f.image_values[at * f.features + c - f.first_feature] = p.sums[c] + bad;
  }
}

// Images of a forward pass that had too little room are NaN throughout.
template <int kChannels, class Real>
__device__ void write_pixel(const Frame<Real>& f, const Pixel<Real>& pixel, const Blended<kChannels, Real>& p) {
  if (!pixel.inside) return;
  const int64_t at = pixel.at;
  const Real bad = f.demand->overflow ? Real(NAN) : Real(0);
  const Real left = (pixel.wanted ? p.transmittance : Real(1)) + bad, alpha = Real(1) - left;
  for (int c = 0; c < 3; ++c) f.rgb[3 * at + c] = multiply_add(left, f.background[c], p.sums[c]);
  f.alpha[at] = alpha;
  if constexpr (kChannels > 3)
    if (f.with_depth) f.depth[at] = alpha > Real(kMinDepthAlpha) ? p.sums[3] / alpha : bad;
  if constexpr (kChannels > 4) write_extra(f, at, p, bad);
}

template <int kChannels, class Real>
__global__ __launch_bounds__(kThreads, forward_blocks(kChannels)) void forward_kernel(Frame<Real> f) {
  constexpr int kBatch = forward_batch(kChannels);
  __shared__ Batch<kChannels, kBatch, Real> batch;
  const Pixel<Real> pixel(f);
  const uint2 range = instances_of_tile(f);
  Blended<kChannels, Real> p{};
  p.transmittance = pixel.wanted ? Real(1) : Real(0);
  for (uint32_t begin = range.x; begin < range.y; begin += kBatch) {
    // Also keeps the batch until all warps are done with the one before.
    if (!__syncthreads_or(p.transmittance >= Real(kMinTransmittance))) break;
    const int count = int(range.y - begin < kBatch ? range.y - begin : kBatch);
    batch.load(f, begin, count);
    __syncthreads();
    for (int first = 0; first < count; first += kWarpSize) {
      if (!__any_sync(kFullWarp, p.transmittance >= Real(kMinTransmittance))) break;
      uint32_t left = splats_of_patch(batch.splats + first, count - first, pixel);
      while (left) {
        const int k = first + take_lowest(&left);
        blend(batch.splats[k], batch.values[k], batch.depths[k], pixel, &p);
      }
    }
  }
  write_pixel(f, pixel, p);
}

}  // namespace

template <class Real>
void raster_forward(const Frame<Real>& f, cudaStream_t stream) {
  const bool extra = f.with_median_depth || f.with_normals || f.features > 0;
  const auto kernel = !extra && f.channels == 3 ? forward_kernel<3, Real>
                      : !extra                  ? forward_kernel<4, Real>
                      : f.channels <= 8         ? forward_kernel<8, Real>
                      : f.channels <= 16        ? forward_kernel<16, Real>
                                                : forward_kernel<40, Real>;
  launch("blending", kernel, dim3(unsigned(f.tiles()), unsigned(f.views)), kThreads, stream, f);
}

template void raster_forward<float>(const Frame<float>&, cudaStream_t);
#ifdef S3D_WITH_DOUBLE
template void raster_forward<double>(const Frame<double>&, cudaStream_t);
#endif

}  // namespace gpu
}  // namespace s3d
