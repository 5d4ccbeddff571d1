#include "rasteriser.h"

#include <algorithm>
#include <new>

#include "algorithms.h"
#include "kernels.h"

namespace s3d {
namespace gpu {
namespace {

// Room that is set aside beyond the instances of the call before: Gaussians move little from one step to the next.
constexpr double kRoom = 1.25;
constexpr uint64_t kLeastCapacity = 1 << 14;
constexpr uint64_t kMostInstances = 0x7fffffff;

template <class Real>
const Real* in(const void* p) {
  return static_cast<const Real*>(p);
}
template <class Real>
Real* out(void* p) {
  return static_cast<Real*>(p);
}

template <class Real>
void set_inputs(const s3d_gaussians& g, const s3d_cuda_views& v, const s3d_image& images, Frame<Real>* f) {
  f->count = g.count;
  f->views = v.count;
  f->width = v.width;
  f->height = v.height;
  f->tiles_x = (v.width + kTile - 1) / kTile;
  f->tiles_y = (v.height + kTile - 1) / kTile;
  f->sh_coefficients = g.sh_coefficients;
  f->features = g.features;
  f->antialias = v.antialias != 0;
  f->with_depth = v.with_depth != 0;
  f->with_median_depth = v.with_median_depth != 0;
  f->with_normals = v.with_normals != 0;
  f->double_cameras = v.camera_dtype == S3D_FLOAT64;
  f->first_normal = f->with_depth ? 4 : 3;
  f->first_feature = f->first_normal + (f->with_normals ? 3 : 0);
  f->channels = f->first_feature + g.features;
  f->near_plane = Real(v.near_plane);
  f->eps2d = Real(v.eps2d);
  for (int i = 0; i < 3; ++i) f->background[i] = Real(v.background[i]);
  f->cam_from_world = v.cam_from_world;
  f->intrinsics = v.intrinsics;
  f->masks = v.masks;
  f->means = in<Real>(g.means);
  f->quats = in<Real>(g.quats);
  f->scales = in<Real>(g.scales);
  f->opacities = in<Real>(g.opacities);
  f->sh = in<Real>(g.sh);
  f->values = in<Real>(g.values);
  f->rgb = out<Real>(images.rgb);
  f->alpha = out<Real>(images.alpha);
  f->depth = out<Real>(images.depth);
  f->median_depth = out<Real>(images.median_depth);
  f->normals = out<Real>(images.normals);
  f->image_values = out<Real>(images.values);
}

template <class Real>
void set_statistics(const s3d_statistics* statistics, Frame<Real>* f) {
  f->radii = statistics ? out<Real>(statistics->radii) : nullptr;
  f->weight_sum = statistics ? out<Real>(statistics->weight_sum) : nullptr;
  f->weight_max = statistics ? out<Real>(statistics->weight_max) : nullptr;
}

template <class Real>
void reserve_pairs(Workspace<Real>* w) {
  Frame<Real>& f = w->frame;
  const size_t pairs = size_t(f.pairs());
  f.cameras = w->cameras.reserve(size_t(f.views));
  f.splats = w->splats.reserve(pairs);
  f.shades = w->shades.reserve(pairs);
  f.splat_normals = f.with_normals ? w->normals.reserve(3 * pairs) : nullptr;
  uint32_t* integers = w->pairs.reserve(6 * pairs);
  f.depth_keys = integers;
  f.depth_keys_sorted = integers + pairs;
  f.pair_ids = integers + 2 * pairs;
  f.pair_order = integers + 3 * pairs;
  f.pair_instances = integers + 4 * pairs;
  f.pair_first = integers + 5 * pairs;
  f.offsets = w->offsets.reserve(pairs + 1);
  f.demand = w->demand.reserve(1);
  f.tile_ranges = w->tile_ranges.reserve(size_t(f.views) * f.tiles());
}

template <class Real>
void reserve_instances(Workspace<Real>* w, uint64_t capacity, bool with_statistics) {
  Frame<Real>& f = w->frame;
  f.capacity = uint32_t(capacity);
  uint32_t* integers = w->instances.reserve(6 * capacity);
  f.tile_keys = integers;
  f.tile_keys_sorted = integers + capacity;
  f.instances = integers + 2 * capacity;
  f.instances_sorted = integers + 3 * capacity;
  f.instance_pairs = integers + 4 * capacity;
  f.pairs_sorted = integers + 5 * capacity;
  if (with_statistics) f.statistics_slots = w->statistics_slots.reserve(2 * capacity);
}

template <class Real>
void project_and_count(Workspace<Real>* w, cudaStream_t stream) {
  const Frame<Real>& f = w->frame;
  project_views(f, stream);
  const size_t bytes = std::max(sort_bytes(f.pairs()), sum_bytes(f.pairs() + 1));
  unsigned char* work = w->work.reserve(bytes);
  sort_pairs(work, w->work.bytes(), f.depth_keys, f.depth_keys_sorted, f.pair_ids, f.pair_order, f.pairs(), kDepthBits,
             stream);
  count_in_depth_order(f, stream);
  exclusive_sum(work, w->work.bytes(), f.offsets, f.pairs() + 1, stream);
  check(cudaMemcpyAsync(w->needed.get(), f.offsets + f.pairs(), sizeof(unsigned long long), cudaMemcpyDeviceToHost,
                        stream),
        "reading the number of splat-tile pairs");
}

int bits_for(uint32_t largest) {
  int bits = 1;
  while (bits < 32 && largest >> bits) ++bits;
  return bits;
}

template <class Real>
void bin_and_draw(Workspace<Real>* w, cudaStream_t stream) {
  const Frame<Real>& f = w->frame;
  record_demand(f, stream);
  emit_instances(f, stream);
  unsigned char* work = w->work.reserve(sort_bytes(f.capacity));
  // One more key than there are tiles: that of places that belong to none.
  sort_pairs(work, w->work.bytes(), f.tile_keys, f.tile_keys_sorted, f.instances, f.instances_sorted, f.capacity,
             bits_for(uint32_t(f.views) * uint32_t(f.tiles())), stream);
  find_tile_ranges(f, stream);
  raster_forward(f, stream);
  if (f.weight_sum || f.weight_max) record_statistics(f, stream);
}

uint64_t room_for(uint64_t needed) {
  if (needed > kMostInstances)
    throw std::length_error("more than 2^31 splat-tile pairs: too many or too large Gaussians for these images");
  const uint64_t wanted = std::max(uint64_t(double(needed) * kRoom), kLeastCapacity);
  return std::min(wanted, kMostInstances);
}

bool is_capturing(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(stream, &status), "asking whether a graph is captured");
  return status != cudaStreamCaptureStatusNone;
}

// Everything that does not wait for the host. `*w->needed` tells afterwards whether there was room.
template <class Real>
void draw_with_capacity(Workspace<Real>* w, uint64_t capacity, cudaStream_t stream) {
  reserve_instances(w, capacity, w->frame.weight_sum || w->frame.weight_max);
  bin_and_draw(w, stream);
}

}  // namespace

template <class Real>
void rasterise_forward(Workspace<Real>* w, const s3d_gaussians& gaussians, const s3d_cuda_views& views,
                       const s3d_image& images, const s3d_statistics* statistics) {
  const cudaStream_t stream = static_cast<cudaStream_t>(views.stream);
  const bool capturing = is_capturing(stream);
  if (capturing && views.wait) throw std::invalid_argument("forward: wait = 0 is needed while a graph is captured");
  const Shape shape{gaussians.count, views.count, views.width, views.height};
  const bool known = w->shape == shape;
  if (!views.wait && !known)
    throw NoRoom(
        "forward without waiting: call it first with wait = 1 and the same sizes, so that memory is set aside");
  // Nothing may be allocated while a graph is captured: it takes the room of the pass before.
  const uint64_t guess = !known ? 0 : views.wait ? room_for(*w->needed.get()) : w->frame.capacity;
  w->has_forward = false;
  w->shape = Shape{};
  w->frame = Frame<Real>{};
  set_inputs(gaussians, views, images, &w->frame);
  set_statistics(statistics, &w->frame);
  reserve_pairs(w);
  project_and_count(w, stream);
  if (!capturing) w->counted.record(stream);
  // The device draws with the room that was needed last time while the host waits for what is needed now.
  if (known) draw_with_capacity(w, guess, stream);
  if (views.wait) {
    w->counted.wait();
    const uint64_t needed = *w->needed.get();
    if (!known || needed > w->frame.capacity) draw_with_capacity(w, room_for(needed), stream);
  }
  w->shape = shape;
  w->has_forward = true;
}

template <class Real>
void rasterise_backward(Workspace<Real>* w, const s3d_gaussians& gaussians, const s3d_cuda_views& views,
                        const s3d_image& images, const s3d_image& image_gradients,
                        const s3d_cuda_gradients& gradients) {
  Frame<Real>& f = w->frame;
  const Shape shape{gaussians.count, views.count, views.width, views.height};
  if (!w->has_forward || !(w->shape == shape) || f.features != gaussians.features ||
      f.with_depth != (views.with_depth != 0) || f.with_normals != (views.with_normals != 0) ||
      f.with_median_depth != (views.with_median_depth != 0))
    throw std::invalid_argument("backward: the context does not hold the forward pass of this call");
  set_inputs(gaussians, views, images, &f);
  f.g_rgb = in<Real>(image_gradients.rgb);
  f.g_alpha = in<Real>(image_gradients.alpha);
  f.g_depth = in<Real>(image_gradients.depth);
  f.g_median_depth = in<Real>(image_gradients.median_depth);
  f.g_normals = in<Real>(image_gradients.normals);
  f.g_values = in<Real>(image_gradients.values);
  f.g_means = out<Real>(gradients.means);
  f.g_quats = out<Real>(gradients.quats);
  f.g_scales = out<Real>(gradients.scales);
  f.g_opacities = out<Real>(gradients.opacities);
  f.g_sh = out<Real>(gradients.sh);
  f.g_features = out<Real>(gradients.values);
  f.g_centres = out<Real>(gradients.centres);
  f.g_cam_from_world = out<double>(gradients.cam_from_world);
  f.g_intrinsics = out<double>(gradients.intrinsics);
  f.slot_stride = slot_stride(f.channels, f.with_median_depth);
  f.slots = w->slots.reserve(size_t(f.capacity) * size_t(f.slot_stride));
  const size_t blocks = blocks_for(f.count, kPointThreads);
  const bool for_cameras = f.g_cam_from_world || f.g_intrinsics;
  f.camera_partials =
      for_cameras ? w->camera_partials.reserve(std::max<size_t>(1, size_t(f.views) * blocks * kCameraSums)) : nullptr;
  const cudaStream_t stream = static_cast<cudaStream_t>(views.stream);
  raster_backward(f, stream);
  gather_backward(f, stream);
}

template <class Real>
void image_loss(Workspace<Real>* w, const s3d_cuda_loss& loss) {
  LossFrame<Real> f;
  f.views = loss.views;
  f.width = loss.width;
  f.height = loss.height;
  f.rendered = in<Real>(loss.rendered);
  f.target = in<Real>(loss.target);
  f.weights = in<Real>(loss.weights);
  f.gradient = out<Real>(loss.gradient);
  f.loss = out<Real>(loss.loss);
  f.ssim_weight = Real(loss.ssim_weight);
  f.partials = w->loss_partials.reserve(size_t(loss_blocks(f.views, f.width, f.height)) * kLossSums + 1);
  f.inverse_total = w->loss_total.reserve(1);
  const size_t pixels = size_t(f.views) * size_t(f.width) * size_t(f.height);
  f.maps = f.gradient ? w->loss_maps.reserve(3 * kLossMaps * pixels) : nullptr;
  image_loss(f, static_cast<cudaStream_t>(loss.stream));
}

template <class Real>
void splat_step(Workspace<Real>* w, const s3d_splat_adam& step, const int32_t* iteration, cudaStream_t stream) {
  splat_step(step, iteration, iteration ? w->adam_factors.reserve(1) : nullptr, stream);
}

#define S3D_INSTANTIATE(Real)                                                                            \
  template void rasterise_forward<Real>(Workspace<Real>*, const s3d_gaussians&, const s3d_cuda_views&,   \
                                        const s3d_image&, const s3d_statistics*);                        \
  template void rasterise_backward<Real>(Workspace<Real>*, const s3d_gaussians&, const s3d_cuda_views&,  \
                                         const s3d_image&, const s3d_image&, const s3d_cuda_gradients&); \
  template void image_loss<Real>(Workspace<Real>*, const s3d_cuda_loss&);                                \
  template void splat_step<Real>(Workspace<Real>*, const s3d_splat_adam&, const int32_t*, cudaStream_t);
S3D_INSTANTIATE(float)
#ifdef S3D_WITH_DOUBLE
S3D_INSTANTIATE(double)
#endif

}  // namespace gpu
}  // namespace s3d
