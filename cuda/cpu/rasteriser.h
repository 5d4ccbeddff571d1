// One view's forward and backward pass over a workspace.
#pragma once

#include "sparse3d/c_api.h"
#include "workspace.h"

namespace s3d {

// Both throw: std::invalid_argument, std::length_error, std::bad_alloc.
template <class Real>
void rasterise_forward(Workspace<Real>* workspace, const s3d_gaussians& gaussians, const s3d_view& view,
                       const s3d_image& image, const s3d_statistics* statistics);
template <class Real>
void rasterise_backward(Workspace<Real>* workspace, const s3d_gaussians& gaussians, const s3d_view& view,
                        const s3d_image& image, const s3d_image& image_gradients, s3d_gradients* gradients);

// Fills the loss's sums and its gradient.
template <class Real>
void image_loss(Workspace<Real>* workspace, s3d_loss* loss);

template <class Real>
void depth_loss(Workspace<Real>* workspace, s3d_depth* depth);

// Steps the optimiser's arrays.
template <class Real>
void splat_step(const s3d_splat_adam& step);

}  // namespace s3d
