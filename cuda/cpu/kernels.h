// Declarations of the kernels inside the namespace of the instruction set that this translation unit is compiled for.
#pragma once

#include "frame.h"
#include "loss_frame.h"
#include "sparse3d/patchmatch_frame.h"

namespace s3d {
namespace S3D_ISA {

template <class Real>
void project_chunk(const Frame<Real>& frame, int64_t chunk);
template <class Real>
void raster_forward_tile(const Frame<Real>& frame, int tile, Real* scratch);
template <class Real>
void raster_backward_tile(const Frame<Real>& frame, int tile, Real* scratch);
template <class Real>
void gather_backward_chunk(const Frame<Real>& frame, int64_t chunk);
template <class Real>
void loss_band(const LossFrame<Real>& frame, int begin, int end, Real* scratch);
template <class Real>
void adam_range(const AdamFrame<Real>& frame, int64_t begin, int64_t end);
template <class Real>
double depth_weights(const DepthFrame<Real>& frame, int64_t begin, int64_t end);
template <class Real>
double depth_errors(const DepthFrame<Real>& frame, int64_t begin, int64_t end);
template <class Real>
void patchmatch_row(const PatchmatchFrame<Real>& frame, int y);

Kernels<float> float_kernels();
Kernels<double> double_kernels();

}  // namespace S3D_ISA
}  // namespace s3d
