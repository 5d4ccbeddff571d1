// From a call of the C interface, on the CPU or a GPU, to what the kernels read.
#pragma once

#include <cmath>

#include "sparse3d/c_api.h"
#include "sparse3d/patchmatch_frame.h"

namespace s3d {

// Places in images are computed in 32 bits.
constexpr int kMaxStereoPixels = 32768;

// What is wrong with a call's arguments; null if nothing.
inline const char* mistake_in(const s3d_patchmatch& p) {
  if (p.width < 1 || p.height < 1 || p.width > kMaxStereoPixels || p.height > kMaxStereoPixels)
    return "patchmatch: expected a width and a height of 1 to 32768 pixels";
  if (p.dtype != S3D_FLOAT32 && p.dtype != S3D_FLOAT64) return "patchmatch.dtype: unknown";
  if (p.views < 1 || p.views > S3D_MAX_STEREO_VIEWS) return "patchmatch.views: expected 1 to 8";
  if (p.iterations < 1) return "patchmatch.iterations: expected at least 1";
  if (!(p.quads && p.mask && p.others && p.inverse && p.slope_x && p.slope_y && p.cost))
    return "patchmatch: an array is missing";
  if (p.prior_inverse && !(p.prior_slope_x && p.prior_slope_y && p.prior_weight))
    return "patchmatch: a part of the prior is missing";
  if (!(std::isfinite(p.near_inverse) && p.far_inverse >= 0 && p.far_inverse < p.near_inverse))
    return "patchmatch: expected 0 <= far_inverse < near_inverse";
  if (!(p.step > 0 && p.reach >= 0 && p.max_error > 0))
    return "patchmatch: step and max_error must be positive, reach not negative";
  for (int i = 0; i < p.views; ++i)
    if (!p.others[i].quads || p.others[i].width < 2 || p.others[i].height < 2 || p.others[i].width > kMaxStereoPixels ||
        p.others[i].height > kMaxStereoPixels)
      return "patchmatch.others: expected images of 2 to 32768 pixels a side";
  return nullptr;
}

template <class Real>
StereoView<Real> stereo_view(const s3d_stereo_view& v) {
  StereoView<Real> r{
      v.width, v.height, v.quads, static_cast<const Real*>(v.inverse), static_cast<const Real*>(v.visible), {},
      {},      {},       {}};
  for (int i = 0; i < 9; ++i)
    r.homography[i] = Real(v.homography[i]), r.back_homography[i] = Real(v.back_homography[i]);
  for (int i = 0; i < 3; ++i) r.shift[i] = Real(v.shift[i]), r.back_shift[i] = Real(v.back_shift[i]);
  return r;
}

// Nine padded maps: planes and costs twice, and the grey image.
constexpr int kStereoMaps = 9;

// All but the other views and the iteration, over memory for kStereoMaps padded maps.
template <class Real>
PatchmatchFrame<Real> patchmatch_frame(const s3d_patchmatch& c, Real* memory) {
  const size_t size = plane_stride(c.width) * plane_rows(c.height);
  PatchmatchFrame<Real> f{};
  f.before = {memory, memory + size, memory + 2 * size, memory + 3 * size};
  f.after = {memory + 4 * size, memory + 5 * size, memory + 6 * size, memory + 7 * size};
  f.grey = memory + 8 * size;
  f.width = c.width;
  f.height = c.height;
  f.views = c.views;
  f.seed = uint32_t(c.seed);
  f.mask = c.mask;
  f.prior_inverse = static_cast<const Real*>(c.prior_inverse);
  f.prior_slope_x = static_cast<const Real*>(c.prior_slope_x);
  f.prior_slope_y = static_cast<const Real*>(c.prior_slope_y);
  f.prior_weight = static_cast<const Real*>(c.prior_weight);
  f.view_costs = static_cast<Real*>(c.view_costs);
  f.far_inverse = Real(c.far_inverse);
  f.near_inverse = Real(c.near_inverse);
  f.step = Real(c.step);
  f.reach = Real(c.reach);
  f.grey_share = Real(c.grey_share);
  f.geometric_share = Real(c.geometric_share);
  f.max_error = Real(c.max_error);
  return f;
}

}  // namespace s3d
