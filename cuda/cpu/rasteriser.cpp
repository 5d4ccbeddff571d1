#include "rasteriser.h"

#include <stdexcept>

#include "binning.h"
#include "dispatch.h"
#include "thread_pool.h"

namespace s3d {
namespace {

template <class Real>
Pinhole<Real> pinhole(const s3d_view& view) {
  Pinhole<Real> camera;
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) camera.rotation[i][j] = Real(view.cam_from_world[4 * i + j]);
    camera.translation[i] = Real(view.cam_from_world[4 * i + 3]);
  }
  camera.fx = Real(view.fx);
  camera.fy = Real(view.fy);
  camera.cx = Real(view.cx);
  camera.cy = Real(view.cy);
  camera.width = Real(view.width);
  camera.height = Real(view.height);
  camera.near_plane = Real(view.near_plane);
  camera.eps2d = Real(view.eps2d);
  return camera;
}

// The centre as -R^T t, differentiated as such, for any matrix R.
template <class Real>
void set_camera(const s3d_view& view, Frame<Real>* frame) {
  frame->camera = pinhole<Real>(view);
  for (int j = 0; j < 3; ++j) {
    double centre = 0;
    for (int i = 0; i < 3; ++i) centre -= view.cam_from_world[4 * i + j] * view.cam_from_world[4 * i + 3];
    frame->camera_centre[j] = Real(centre);
    frame->background[j] = Real(view.background[j]);
  }
}

template <class Real>
void set_inputs(const s3d_gaussians& g, const s3d_view& view, const s3d_image& image, Frame<Real>* f) {
  const auto in = [](const void* p) { return static_cast<const Real*>(p); };
  const auto out = [](void* p) { return static_cast<Real*>(p); };
  f->count = g.count;
  f->sh_coefficients = g.sh_coefficients;
  f->features = g.features;
  f->antialias = view.antialias != 0;
  f->with_depth = view.with_depth != 0;
  f->with_median_depth = view.with_median_depth != 0;
  f->with_normals = view.with_normals != 0;
  f->with_statistics = view.with_statistics != 0;
  f->mask = view.mask;
  f->first_normal = 3 + (f->with_depth ? 1 : 0);
  f->first_feature = f->first_normal + (f->with_normals ? 3 : 0);
  f->channels = f->first_feature + g.features;
  f->means = in(g.means);
  f->quats = in(g.quats);
  f->scales = in(g.scales);
  f->opacities = in(g.opacities);
  f->sh = in(g.sh);
  f->values = in(g.values);
  f->rgb = out(image.rgb);
  f->alpha = out(image.alpha);
  f->depth = out(image.depth);
  f->median_depth = out(image.median_depth);
  f->normals = out(image.normals);
  f->image_values = out(image.values);
  set_camera(view, f);
}

template <class Real>
void project_all(Workspace<Real>* w, int threads) {
  Frame<Real>& f = w->frame;
  Bins& bins = w->bins;
  const size_t count = size_t(f.count), chunks = size_t(chunk_count(f.count));
  f.records = w->records.reserve(count);
  f.boxes = bins.boxes.reserve(count);
  if (f.channels > f.first_normal) f.channel_values = w->channel_values.reserve(count * size_t(f.channels));
  f.chunk_pairs = bins.chunk_pairs.reserve(count);
  f.chunk_visible = bins.chunk_visible.reserve(chunks);
  f.chunk_keys = bins.chunk_keys.reserve(chunks);
  f.chunk_instances = bins.chunk_instances.reserve(chunks);
  const Kernels<Real>& k = kernels<Real>();
  parallel_for(threads, int64_t(chunks), [&](int64_t chunk, int) { k.project(f, chunk); });
  count_instances(&bins, f.count);
  f.chunk_slots = bins.chunk_slots.data();
}

template <class Real>
void gather_statistics(const Frame<Real>& f, int threads) {
  parallel_for(threads, chunk_count(f.count), [&](int64_t chunk, int) {
    const int64_t begin = chunk * kChunk, end = begin + kChunk < f.count ? begin + kChunk : f.count;
    for (int64_t i = begin; i < end; ++i) {
      const Record<Real>& r = f.records[i];
      const int tiles = (r.tile_x1 - r.tile_x0) * (r.tile_y1 - r.tile_y0);
      const Real* slot = f.statistics_slots + 2 * (size_t(f.chunk_slots[chunk]) + r.slot);
      Real sum = 0, most = 0;
      for (int k = 0; k < tiles; ++k) {
        sum += slot[2 * k];
        most = slot[2 * k + 1] > most ? slot[2 * k + 1] : most;
      }
      if (f.weight_sum) f.weight_sum[i] = sum;
      if (f.weight_max) f.weight_max[i] = most;
    }
  });
}

// Sums the chunks in order, then carries the camera centre's gradient to the pose.
template <class Real>
void camera_gradient(const Workspace<Real>& w, const s3d_view& view, s3d_gradients* out) {
  double sums[kCameraSums] = {};
  for (int64_t chunk = 0; chunk < chunk_count(w.frame.count); ++chunk)
    for (int i = 0; i < kCameraSums; ++i) sums[i] += w.camera_sums.data()[chunk * kCameraSums + i];
  const double* centre = sums + 16;
  for (int i = 0; i < 3; ++i) {
    double g_translation = sums[9 + i];
    for (int j = 0; j < 3; ++j) {
      out->cam_from_world[4 * i + j] = sums[3 * i + j] - view.cam_from_world[4 * i + 3] * centre[j];
      g_translation -= view.cam_from_world[4 * i + j] * centre[j];
    }
    out->cam_from_world[4 * i + 3] = g_translation;
  }
  for (int i = 0; i < 4; ++i) out->intrinsics[i] = sums[12 + i];
}

}  // namespace

template <class Real>
void rasterise_forward(Workspace<Real>* w, const s3d_gaussians& gaussians, const s3d_view& view, const s3d_image& image,
                       const s3d_statistics* statistics) {
  w->has_forward = false;
  Frame<Real>& f = w->frame;
  Bins& bins = w->bins;
  f = Frame<Real>{};
  set_inputs(gaussians, view, image, &f);
  if (statistics) {
    f.radii = static_cast<Real*>(statistics->radii);
    f.weight_sum = static_cast<Real*>(statistics->weight_sum);
    f.weight_max = static_cast<Real*>(statistics->weight_max);
  }
  f.tiles_x = (view.width + kTile - 1) / kTile;
  f.tiles_y = (view.height + kTile - 1) / kTile;
  project_all(w, view.threads);
  bin_splats(&bins, f.count, f.tiles_x, f.tiles_y, view.threads);
  f.instances = bins.instances.data();
  f.tile_begin = bins.tile_begin.data();
  f.tile_end_used = bins.tile_end_used.data();
  if (f.with_statistics) f.statistics_slots = w->statistics_slots.reserve(2 * bins.instance_count);
  const size_t stride = scratch_reals(f.channels);
  Real* scratch = w->scratch.reserve(stride * size_t(view.threads));
  const Kernels<Real>& k = kernels<Real>();
  parallel_for(view.threads, int64_t(bins.tile_order.size()), [&](int64_t i, int worker) {
    k.raster_forward(f, bins.tile_order[size_t(i)], scratch + stride * size_t(worker));
  });
  if (f.with_statistics) gather_statistics(f, view.threads);
  w->has_forward = true;
}

template <class Real>
void rasterise_backward(Workspace<Real>* w, const s3d_gaussians& gaussians, const s3d_view& view,
                        const s3d_image& image, const s3d_image& image_gradients, s3d_gradients* gradients) {
  Frame<Real>& f = w->frame;
  if (!w->has_forward || f.count != gaussians.count || f.camera.width != Real(view.width) ||
      f.camera.height != Real(view.height) || f.features != gaussians.features ||
      f.with_depth != (view.with_depth != 0) || f.with_normals != (view.with_normals != 0) ||
      f.with_median_depth != (view.with_median_depth != 0))
    throw std::invalid_argument("backward: the context does not hold the forward pass of this call");
  set_inputs(gaussians, view, image, &f);
  const auto in = [](const void* p) { return static_cast<const Real*>(p); };
  const auto out = [](void* p) { return static_cast<Real*>(p); };
  f.g_rgb = in(image_gradients.rgb);
  f.g_alpha = in(image_gradients.alpha);
  f.g_depth = in(image_gradients.depth);
  f.g_median_depth = in(image_gradients.median_depth);
  f.g_normals = in(image_gradients.normals);
  f.g_values = in(image_gradients.values);
  f.g_means = out(gradients->means);
  f.g_quats = out(gradients->quats);
  f.g_scales = out(gradients->scales);
  f.g_opacities = out(gradients->opacities);
  f.g_sh = out(gradients->sh);
  f.g_features = out(gradients->values);
  f.g_centres = out(gradients->centres);
  f.accumulate = gradients->accumulate != 0;
  f.slot_stride = (kMoments + f.channels + (f.with_median_depth ? 1 : 0) + 3) / 4 * 4;
  // One line more than is used: the last splat's sums are stored as one vector.
  f.slots = w->slots.reserve(size_t(f.slot_stride) * w->bins.instance_count + kLanes);
  f.camera_sums = w->camera_sums.reserve(size_t(chunk_count(f.count)) * kCameraSums);
  const size_t stride = scratch_reals(f.channels);
  Real* scratch = w->scratch.reserve(stride * size_t(view.threads));
  const Kernels<Real>& k = kernels<Real>();
  parallel_for(view.threads, int64_t(w->bins.tile_order.size()), [&](int64_t i, int worker) {
    k.raster_backward(f, w->bins.tile_order[size_t(i)], scratch + stride * size_t(worker));
  });
  parallel_for(view.threads, chunk_count(f.count), [&](int64_t chunk, int) { k.gather_backward(f, chunk); });
  camera_gradient(*w, view, gradients);
}

template void rasterise_forward<float>(Workspace<float>*, const s3d_gaussians&, const s3d_view&, const s3d_image&,
                                       const s3d_statistics*);
template void rasterise_forward<double>(Workspace<double>*, const s3d_gaussians&, const s3d_view&, const s3d_image&,
                                        const s3d_statistics*);
template void rasterise_backward<float>(Workspace<float>*, const s3d_gaussians&, const s3d_view&, const s3d_image&,
                                        const s3d_image&, s3d_gradients*);
template void rasterise_backward<double>(Workspace<double>*, const s3d_gaussians&, const s3d_view&, const s3d_image&,
                                         const s3d_image&, s3d_gradients*);

}  // namespace s3d
