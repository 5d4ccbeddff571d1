// The losses of one view, band by band.
#include <algorithm>
#include <numeric>

#include "dispatch.h"
#include "rasteriser.h"
#include "thread_pool.h"

namespace s3d {
namespace {

// Pixels per unit of work of the depth loss; its sums are kept per range, so they do not depend on the threads.
constexpr int64_t kPixelRange = 8192;

}  // namespace

template <class Real>
void image_loss(Workspace<Real>* w, s3d_loss* loss) {
  LossFrame<Real> f;
  f.width = loss->width;
  f.height = loss->height;
  f.rendered = static_cast<const Real*>(loss->rendered);
  f.target = static_cast<const Real*>(loss->target);
  f.weights = static_cast<const Real*>(loss->weights);
  f.gradient = static_cast<Real*>(loss->gradient);
  f.l1_weight = 1 - loss->ssim_weight;
  f.ssim_weight = loss->ssim_weight;
  f.scale = loss->scale;
  f.row_l1 = w->loss_rows.reserve(3 * size_t(f.height));
  f.row_ssim = f.row_l1 + f.height;
  f.row_squares = f.row_ssim + f.height;
  // Bands repeat ten rows of work at either end: few bands, yet two a thread so that a slow core holds up less.
  const int bands = loss->threads == 1 ? 1 : 2 * loss->threads;
  const int rows = (f.height + bands - 1) / bands;
  const size_t stride = (loss_scratch_reals(f.width) + 15) / 16 * 16;
  Real* scratch = w->scratch.reserve(stride * size_t(loss->threads));
  const Kernels<Real>& k = kernels<Real>();
  parallel_for(loss->threads, (f.height + rows - 1) / rows, [&](int64_t band, int worker) {
    const int begin = int(band) * rows, end = begin + rows < f.height ? begin + rows : f.height;
    k.loss_band(f, begin, end, scratch + stride * size_t(worker));
  });
  loss->l1_sum = loss->ssim_sum = loss->squares_sum = 0;
  for (int y = 0; y < f.height; ++y) {
    loss->l1_sum += f.row_l1[y];
    loss->ssim_sum += f.row_ssim[y];
    loss->squares_sum += f.row_squares[y];
  }
}

template <class Real>
void depth_loss(Workspace<Real>* w, s3d_depth* depth) {
  DepthFrame<Real> f;
  f.rendered = static_cast<const Real*>(depth->rendered);
  f.alpha = static_cast<const Real*>(depth->alpha);
  f.known = static_cast<const Real*>(depth->known);
  f.confidence = static_cast<const Real*>(depth->confidence);
  f.gradient = static_cast<Real*>(depth->gradient);
  f.min_alpha = Real(depth->min_alpha);
  f.softness = Real(depth->softness);
  f.cutoff = Real(depth->cutoff);
  const int64_t ranges = (depth->count + kPixelRange - 1) / kPixelRange;
  double* sums = w->loss_rows.reserve(size_t(ranges));
  const auto total = [&](DepthRange<Real> kernel) {
    parallel_for(depth->threads, ranges, [&](int64_t i, int) {
      sums[i] = kernel(f, i * kPixelRange, std::min((i + 1) * kPixelRange, depth->count));
    });
    return std::accumulate(sums, sums + ranges, 0.0);
  };
  const double weight = std::max(total(kernels<Real>().depth_weights), 1.0);
  f.gradient_scale = Real(depth->scale / weight);
  depth->loss = total(kernels<Real>().depth_errors) / weight;
}

template void image_loss<float>(Workspace<float>*, s3d_loss*);
template void image_loss<double>(Workspace<double>*, s3d_loss*);
template void depth_loss<float>(Workspace<float>*, s3d_depth*);
template void depth_loss<double>(Workspace<double>*, s3d_depth*);

}  // namespace s3d
