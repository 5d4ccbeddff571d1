// What one view's PatchMatch hands to the kernels of one instruction set, or of a GPU.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sparse3d/patchmatch.h"

namespace s3d {

// Planes and their cost in maps that are padded on all sides, so that every candidate can be read unchecked.
template <class Real>
struct PlaneMaps {
  Real *inverse, *slope_x, *slope_y, *cost;
};

// Farthest candidate in pixels, and lanes past the end of a row.
constexpr int kPlanePadding = 32;

S3D_HD constexpr size_t plane_stride(int width) { return size_t(width) + 2 * kPlanePadding; }
S3D_HD constexpr size_t plane_rows(int height) { return size_t(height) + 2 * kPlanePadding; }

template <class Real>
struct PatchmatchFrame {
  int width, height, views;
  uint32_t seed;
  int iteration;  // from 0; `reach` halves with each
  bool last;
  const Real* grey;     // (padded) of the reference, in levels of 255, edges repeated
  const uint8_t* mask;  // (height, width)
  const StereoView<Real>* others;
  PlaneMaps<Real> before, after;
  const Real *prior_inverse, *prior_slope_x, *prior_slope_y, *prior_weight;  // (height, width), or all null
  Real* view_costs;                                                          // (views, height, width), or null
  Real far_inverse, near_inverse, step, reach, grey_share, geometric_share, max_error;
};

}  // namespace s3d
