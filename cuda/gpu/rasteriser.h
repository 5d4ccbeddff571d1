// The passes over all views of a call, and the memory that they keep between calls.
#pragma once

#include "adam.h"
#include "image_loss.h"
#include "memory.h"
#include "sparse3d/cuda_api.h"
#include "sparse3d/patchmatch_frame.h"

namespace s3d {
namespace gpu {

struct NoRoom : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What a forward pass was called for: memory is set aside anew when it changes.
struct Shape {
  int64_t count = -1;
  int views = 0, width = 0, height = 0;
  bool operator==(const Shape& o) const {
    return count == o.count && views == o.views && width == o.width && height == o.height;
  }
};

template <class Real>
struct Workspace {
  DeviceBuffer<Camera<Real>> cameras;
  DeviceBuffer<Splat<Real>> splats;
  DeviceBuffer<Shade<Real>> shades;
  DeviceBuffer<Real> normals, slots, statistics_slots;
  DeviceBuffer<uint32_t> pairs;      // pair_integers arrays of the pairs' integers
  DeviceBuffer<uint32_t> instances;  // instance_integers arrays of the instances' integers
  DeviceBuffer<unsigned long long> offsets;
  DeviceBuffer<uint2> tile_ranges;
  DeviceBuffer<Demand> demand;
  DeviceBuffer<double> camera_partials, loss_partials;
  DeviceBuffer<Real> loss_maps, loss_total;
  DeviceBuffer<AdamFactors<Real>> adam_factors;
  DeviceBuffer<Real> stereo;  // kStereoMaps padded maps
  DeviceBuffer<StereoView<Real>> stereo_views;
  DeviceBuffer<unsigned char> work;  // of sorts and scans
  PinnedValue<unsigned long long> needed;
  Event counted;  // `needed` has arrived
  Shape shape;    // of the pass that `needed` is about
  Frame<Real> frame{};
  bool has_forward = false;

  size_t bytes() const {
    return cameras.bytes() + splats.bytes() + shades.bytes() + normals.bytes() + slots.bytes() +
           statistics_slots.bytes() + pairs.bytes() + instances.bytes() + offsets.bytes() + tile_ranges.bytes() +
           demand.bytes() + camera_partials.bytes() + loss_partials.bytes() + loss_maps.bytes() + loss_total.bytes() +
           adam_factors.bytes() + stereo.bytes() + stereo_views.bytes() + work.bytes();
  }
};

template <class Real>
void rasterise_forward(Workspace<Real>* w, const s3d_gaussians& gaussians, const s3d_cuda_views& views,
                       const s3d_image& images, const s3d_statistics* statistics);
template <class Real>
void rasterise_backward(Workspace<Real>* w, const s3d_gaussians& gaussians, const s3d_cuda_views& views,
                        const s3d_image& images, const s3d_image& image_gradients, const s3d_cuda_gradients& gradients);
template <class Real>
void image_loss(Workspace<Real>* w, const s3d_cuda_loss& loss);
template <class Real>
void splat_step(Workspace<Real>* w, const s3d_splat_adam& step, const int32_t* iteration, cudaStream_t stream);
template <class Real>
void patchmatch(Workspace<Real>* w, const s3d_patchmatch& call, cudaStream_t stream);

}  // namespace gpu
}  // namespace s3d
