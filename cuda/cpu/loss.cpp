// The photometric loss of one view, band by band.
#include "dispatch.h"
#include "rasteriser.h"
#include "thread_pool.h"

namespace s3d {

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
  f.row_l1 = w->loss_rows.reserve(2 * size_t(f.height));
  f.row_ssim = f.row_l1 + f.height;
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
  loss->l1_sum = loss->ssim_sum = 0;
  for (int y = 0; y < f.height; ++y) {
    loss->l1_sum += f.row_l1[y];
    loss->ssim_sum += f.row_ssim[y];
  }
}

template void image_loss<float>(Workspace<float>*, s3d_loss*);
template void image_loss<double>(Workspace<double>*, s3d_loss*);

}  // namespace s3d
