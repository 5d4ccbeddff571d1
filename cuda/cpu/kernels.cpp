// The table of this instruction set's kernels.
#include "kernels.h"

namespace s3d {
namespace S3D_ISA {

Kernels<float> float_kernels() {
  return {project_chunk<float>,         raster_forward_tile<float>, raster_backward_tile<float>,
          gather_backward_chunk<float>, loss_band<float>,           adam_range<float>,
          depth_weights<float>,         depth_errors<float>,        patchmatch_row<float>};
}

#ifdef S3D_WITH_DOUBLE
Kernels<double> double_kernels() {
  return {project_chunk<double>,         raster_forward_tile<double>, raster_backward_tile<double>,
          gather_backward_chunk<double>, loss_band<double>,           adam_range<double>,
          depth_weights<double>,         depth_errors<double>,        patchmatch_row<double>};
}
#endif

}  // namespace S3D_ISA
}  // namespace s3d
