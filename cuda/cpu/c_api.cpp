// The border: checks the arguments, turns exceptions into codes and messages.
#include "sparse3d/c_api.h"

#include <cmath>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

#include "dispatch.h"
#include "rasteriser.h"
#include "sparse3d/patchmatch_call.h"
#include "stereo.h"

struct s3d_context {
  s3d::Workspace<float> float32;
  s3d::Workspace<double> float64;
};

namespace {

// Beyond this the tile grid alone would take gigabytes.
constexpr int32_t kMaxPixels = 32768;
constexpr int32_t kMaxThreads = 256;

thread_local std::string last_error;

template <class Body>
int32_t guarded(Body body) noexcept {
  try {
    try {
      body();
      return S3D_OK;
    } catch (const std::bad_alloc&) {
      last_error = "out of memory";
      return S3D_OUT_OF_MEMORY;
    } catch (const std::invalid_argument& e) {
      last_error = e.what();
      return S3D_INVALID_ARGUMENT;
    } catch (const std::exception& e) {
      last_error = e.what();
      return S3D_INTERNAL;
    }
  } catch (...) {  // not even the message could be kept
    return S3D_OUT_OF_MEMORY;
  }
}

void require(bool condition, const char* message) {
  if (!condition) throw std::invalid_argument(message);
}

void check(const s3d_gaussians& g) {
  require(g.dtype == S3D_FLOAT32 || g.dtype == S3D_FLOAT64, "gaussians.dtype: expected S3D_FLOAT32 or S3D_FLOAT64");
  require(g.count >= 0 && g.count <= INT32_MAX, "gaussians.count: expected 0 to 2^31 - 1");
  require(g.sh_coefficients == 1 || g.sh_coefficients == 4 || g.sh_coefficients == 9 || g.sh_coefficients == 16,
          "gaussians.sh_coefficients: expected 1, 4, 9 or 16");
  require(g.features >= 0 && g.features <= S3D_MAX_FEATURES, "gaussians.features: expected 0 to 32");
  require(g.count == 0 || (g.means && g.quats && g.scales && g.opacities && g.sh), "gaussians: an array is missing");
  require(g.count == 0 || g.features == 0 || g.values, "gaussians.values: missing although features > 0");
}

void check(const s3d_view& v) {
  require(v.width > 0 && v.height > 0 && v.width <= kMaxPixels && v.height <= kMaxPixels,
          "view: expected a width and a height of 1 to 32768 pixels");
  require(v.threads >= 1 && v.threads <= kMaxThreads, "view.threads: expected 1 to 256");
  bool finite = std::isfinite(v.fx) && std::isfinite(v.fy) && std::isfinite(v.cx) && std::isfinite(v.cy);
  for (double x : v.cam_from_world) finite = finite && std::isfinite(x);
  for (double x : v.background) finite = finite && std::isfinite(x);
  require(finite, "view: the pose, the intrinsics or the background is not finite");
  require(v.near_plane > 0, "view.near_plane: expected a positive distance");
  require(v.eps2d >= 0 && std::isfinite(v.eps2d), "view.eps2d: expected a finite value of at least 0");
}

void check_step(const s3d_splat_adam& s) {
  require(s.dtype == S3D_FLOAT32 || s.dtype == S3D_FLOAT64, "splat_step.dtype: unknown");
  require(s.count >= 0 && s.count <= INT32_MAX, "splat_step.count: expected 0 to 2^31 - 1");
  require(s.sh_coefficients >= 1 && s.sh_coefficients <= 16, "splat_step.sh_coefficients: expected 1 to 16");
  require(s.threads >= 1 && s.threads <= kMaxThreads, "splat_step.threads: expected 1 to 256");
  require(s.iteration >= 1, "splat_step.iteration: the first step is 1");
  require(s.beta1 >= 0 && s.beta1 < 1 && s.beta2 >= 0 && s.beta2 < 1, "splat_step: betas must lie in [0, 1)");
  for (const s3d_adam_array* a : {&s.means, &s.quats, &s.log_scales, &s.logit_opacities, &s.sh})
    require(s.count == 0 || (a->values && a->first && a->second && a->gradient), "splat_step: an array is missing");
  require(s.count == 0 || (s.mean_rates && s.min_log_scales && s.max_log_scales && s.scales && s.opacities),
          "splat_step: an array is missing");
}

void check(const s3d_image& image, const s3d_gaussians& g, const s3d_view& v) {
  require(image.rgb && image.alpha, "image: rgb or alpha is missing");
  require(!v.with_depth || image.depth, "image.depth: missing although with_depth is set");
  require(!v.with_median_depth || image.median_depth, "image.median_depth: missing although with_median_depth is set");
  require(!v.with_normals || image.normals, "image.normals: missing although with_normals is set");
  require(g.features == 0 || image.values, "image.values: missing although features > 0");
}

void check(const s3d_patchmatch& p) {
  const char* mistake = s3d::mistake_in(p);
  require(!mistake, mistake);
  require(p.threads >= 1 && p.threads <= kMaxThreads, "patchmatch.threads: expected 1 to 256");
}

}  // namespace

extern "C" {

int32_t s3d_abi_version(void) { return S3D_ABI_VERSION; }

const char* s3d_last_error(void) { return last_error.c_str(); }

const char* s3d_isa(void) {
  const char* name = "";
  guarded([&] { name = s3d::dispatch().name; });
  return name;
}

int32_t s3d_context_create(s3d_context** context) {
  return guarded([&] {
    require(context, "context: expected a place to put it");
    s3d::dispatch();
    *context = new s3d_context;
  });
}

void s3d_context_destroy(s3d_context* context) { delete context; }

int64_t s3d_context_bytes(const s3d_context* context) {
  return context ? int64_t(context->float32.bytes() + context->float64.bytes()) : 0;
}

int32_t s3d_forward(s3d_context* context, const s3d_gaussians* gaussians, const s3d_view* view, const s3d_image* image,
                    const s3d_statistics* statistics) {
  return guarded([&] {
    require(context && gaussians && view && image, "forward: an argument is missing");
    check(*gaussians);
    check(*view);
    check(*image, *gaussians, *view);
    if (gaussians->dtype == S3D_FLOAT32)
      s3d::rasterise_forward(&context->float32, *gaussians, *view, *image, statistics);
    else
      s3d::rasterise_forward(&context->float64, *gaussians, *view, *image, statistics);
  });
}

int32_t s3d_backward(s3d_context* context, const s3d_gaussians* gaussians, const s3d_view* view, const s3d_image* image,
                     const s3d_image* image_gradients, s3d_gradients* gradients) {
  return guarded([&] {
    require(context && gaussians && view && image && image_gradients && gradients, "backward: an argument is missing");
    check(*gaussians);
    check(*view);
    check(*image, *gaussians, *view);
    require(image_gradients->rgb, "image_gradients.rgb: missing");
    const s3d_gradients& g = *gradients;
    require(gaussians->count == 0 || (g.means && g.quats && g.scales && g.opacities && g.sh),
            "gradients: an array is missing");
    require(gaussians->count == 0 || gaussians->features == 0 || g.values, "gradients.values: missing");
    if (gaussians->dtype == S3D_FLOAT32)
      s3d::rasterise_backward(&context->float32, *gaussians, *view, *image, *image_gradients, gradients);
    else
      s3d::rasterise_backward(&context->float64, *gaussians, *view, *image, *image_gradients, gradients);
  });
}

int32_t s3d_image_loss(s3d_context* context, s3d_loss* loss) {
  return guarded([&] {
    require(context && loss && loss->rendered && loss->target, "image_loss: an argument is missing");
    require(loss->width > 0 && loss->height > 0 && loss->width <= kMaxPixels && loss->height <= kMaxPixels,
            "image_loss: expected a width and a height of 1 to 32768 pixels");
    require(loss->threads >= 1 && loss->threads <= kMaxThreads, "image_loss.threads: expected 1 to 256");
    require(loss->dtype == S3D_FLOAT32 || loss->dtype == S3D_FLOAT64, "image_loss.dtype: unknown");
    if (loss->dtype == S3D_FLOAT32)
      s3d::image_loss(&context->float32, loss);
    else
      s3d::image_loss(&context->float64, loss);
  });
}

int32_t s3d_depth_loss(s3d_context* context, s3d_depth* depth) {
  return guarded([&] {
    require(context && depth, "depth_loss: an argument is missing");
    require(depth->count >= 0, "depth_loss.count: must not be negative");
    require(depth->count == 0 || (depth->rendered && depth->alpha && depth->known && depth->confidence),
            "depth_loss: an image is missing");
    require(depth->threads >= 1 && depth->threads <= kMaxThreads, "depth_loss.threads: expected 1 to 256");
    require(depth->softness > 0 && depth->cutoff > 0, "depth_loss: softness and cutoff must be positive");
    require(depth->dtype == S3D_FLOAT32 || depth->dtype == S3D_FLOAT64, "depth_loss.dtype: unknown");
    if (depth->dtype == S3D_FLOAT32)
      s3d::depth_loss(&context->float32, depth);
    else
      s3d::depth_loss(&context->float64, depth);
  });
}

int32_t s3d_stereo_patchmatch(s3d_context* context, const s3d_patchmatch* call) {
  return guarded([&] {
    require(context && call, "patchmatch: an argument is missing");
    check(*call);
    if (call->dtype == S3D_FLOAT32)
      s3d::patchmatch(&context->float32, *call);
    else
      s3d::patchmatch(&context->float64, *call);
  });
}

int32_t s3d_splat_step(const s3d_splat_adam* step) {
  return guarded([&] {
    require(step, "splat_step: the argument is missing");
    const s3d_splat_adam& s = *step;
    check_step(s);
    if (s.dtype == S3D_FLOAT32)
      s3d::splat_step<float>(s);
    else
      s3d::splat_step<double>(s);
  });
}

}  // extern "C"
