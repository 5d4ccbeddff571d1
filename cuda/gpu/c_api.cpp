// The border: checks the arguments, chooses the device, turns exceptions into codes and messages.
#include <cmath>
#include <cstdio>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

#include "rasteriser.h"
#include "sparse3d/patchmatch_call.h"

// The workspaces are destroyed by s3d_cuda_context_destroy, with the device made current.
struct s3d_cuda_context {
  explicit s3d_cuda_context(int device_) : device(device_) {}
  const int device;
  s3d::gpu::Workspace<float> float32;
#ifdef S3D_WITH_DOUBLE
  s3d::gpu::Workspace<double> float64;
#endif
  s3d::gpu::Event used;  // the last call's work is done
  void* stream = nullptr;
  bool has_work = false;
};

namespace {

using s3d::gpu::check;

// Beyond this the tile grid alone would take gigabytes.
constexpr int32_t kMaxPixels = 32768;
constexpr int32_t kMaxViews = 4096;

thread_local std::string last_error;

// Codes of the runtime, by number: the emulation knows few of them.
constexpr int kOutOfMemory = 2, kInsufficientDriver = 35, kNoDevice = 100, kInvalidDevice = 101;
constexpr int kNoKernelImage = 209;

int32_t status_of(const s3d::gpu::CudaError& e) {
  switch (int(e.code)) {
    case kOutOfMemory:
      return S3D_OUT_OF_MEMORY;
    case kInsufficientDriver:
    case kNoDevice:
    case kInvalidDevice:
    case kNoKernelImage:
      return S3D_CUDA_NO_DEVICE;
    default:
      return S3D_CUDA_DEVICE_ERROR;
  }
}

std::string message_of(const s3d::gpu::CudaError& e) {
  const std::string code = " (CUDA error " + std::to_string(int(e.code)) + ")";
  if (int(e.code) == kInsufficientDriver)
    return "no usable NVIDIA driver was found: install one that supports this library's CUDA version (nvidia-smi shows "
           "the driver's), or use the backend 'cpu'" +
           code;
  if (int(e.code) == kNoDevice)
    return "the NVIDIA driver sees no GPU: check nvidia-smi and CUDA_VISIBLE_DEVICES, or use the backend 'cpu'" + code;
  if (int(e.code) == kNoKernelImage)
    return "this GPU is older than the kernels support (compute capability 7.5 and newer): use the backend 'cpu'" +
           code;
  return e.what() + code;
}

template <class Body>
int32_t guarded(Body body) noexcept {
  try {
    try {
      body();
      return S3D_OK;
    } catch (const s3d::gpu::CudaError& e) {
      cudaGetLastError();  // an error that is not sticky must not be found by the next call
      last_error = message_of(e);
      return status_of(e);
    } catch (const s3d::gpu::NoRoom& e) {
      last_error = e.what();
      return S3D_CUDA_NO_ROOM;
    } catch (const std::bad_alloc&) {
      last_error = "out of host memory";
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

void check_dtype(int32_t dtype) {
#ifdef S3D_WITH_DOUBLE
  require(dtype == S3D_FLOAT32 || dtype == S3D_FLOAT64, "dtype: expected S3D_FLOAT32 or S3D_FLOAT64");
#else
  require(dtype == S3D_FLOAT32, "dtype: the CUDA kernels are built for float32 alone");
#endif
}

void check(const s3d_gaussians& g, const s3d_cuda_views& v) {
  check_dtype(g.dtype);
  require(v.count >= 1 && v.count <= kMaxViews, "views.count: expected 1 to 4096");
  require(g.count >= 0 && g.count <= INT32_MAX / v.count, "gaussians.count: expected 0 to 2^31 - 1 over all views");
  require(g.sh_coefficients == 1 || g.sh_coefficients == 4 || g.sh_coefficients == 9 || g.sh_coefficients == 16,
          "gaussians.sh_coefficients: expected 1, 4, 9 or 16");
  require(g.features >= 0 && g.features <= S3D_MAX_FEATURES, "gaussians.features: expected 0 to 32");
  require(g.count == 0 || (g.means && g.quats && g.scales && g.opacities && g.sh), "gaussians: an array is missing");
  require(g.count == 0 || g.features == 0 || g.values, "gaussians.values: missing although features > 0");
  require(v.width > 0 && v.height > 0 && v.width <= kMaxPixels && v.height <= kMaxPixels,
          "views: expected a width and a height of 1 to 32768 pixels");
  const int64_t tiles = (int64_t(v.width) + 15) / 16 * ((int64_t(v.height) + 15) / 16);
  require(tiles * v.count < INT32_MAX, "views: too many pixels for one call");
  require(v.camera_dtype == S3D_FLOAT32 || v.camera_dtype == S3D_FLOAT64, "views.camera_dtype: unknown");
  require(v.cam_from_world && v.intrinsics, "views: the poses or the intrinsics are missing");
  require(v.near_plane > 0, "views.near_plane: expected a positive distance");
  require(v.eps2d >= 0 && std::isfinite(v.eps2d), "views.eps2d: expected a finite value of at least 0");
  for (double x : v.background) require(std::isfinite(x), "views.background: not finite");
}

void check(const s3d_image& image, const s3d_gaussians& g, const s3d_cuda_views& v) {
  require(image.rgb && image.alpha, "image: rgb or alpha is missing");
  require(!v.with_depth || image.depth, "image.depth: missing although with_depth is set");
  require(!v.with_median_depth || image.median_depth, "image.median_depth: missing although with_median_depth is set");
  require(!v.with_normals || image.normals, "image.normals: missing although with_normals is set");
  require(g.features == 0 || image.values, "image.values: missing although features > 0");
}

// Runs a call's work on its stream, after whatever the context still does on another.
template <class Body>
void on_stream(s3d_cuda_context* context, void* stream, Body body) {
  const s3d::gpu::DeviceScope scope(context->device);
  const auto cuda_stream = static_cast<cudaStream_t>(stream);
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(cuda_stream, &capture), "asking whether a graph is captured");
  const bool capturing = capture != cudaStreamCaptureStatusNone;
  if (context->has_work && context->stream != stream && !capturing) context->used.hold_back(cuda_stream);
  body();
  if (capturing) return;
  context->used.record(cuda_stream);
  context->stream = stream;
  context->has_work = true;
}

// Calls body with the workspace of the dtype.
template <class Body>
void with_workspace(s3d_cuda_context* context, int32_t dtype, Body body) {
#ifdef S3D_WITH_DOUBLE
  if (dtype == S3D_FLOAT64) return body(&context->float64);
#endif
  (void)dtype;
  body(&context->float32);
}

}  // namespace

extern "C" {

int32_t s3d_cuda_abi_version(void) { return S3D_CUDA_ABI_VERSION; }

const char* s3d_cuda_last_error(void) { return last_error.c_str(); }

const char* s3d_cuda_platform(void) {
#if defined(S3D_EMULATION)
  return "emulation";
#else
  return "cuda";
#endif
}

int32_t s3d_cuda_device_count(int32_t* count) {
  return guarded([&] {
    require(count, "device_count: expected a place to put it");
    int found = 0;
    check(cudaGetDeviceCount(&found), "counting devices");
    *count = found;
  });
}

int32_t s3d_cuda_device_info(int32_t device, char* name, int32_t name_bytes, int32_t* multiprocessors,
                             int32_t* capability) {
  return guarded([&] {
    require(name && name_bytes > 0 && multiprocessors && capability, "device_info: an argument is missing");
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, device), "asking for a device's properties");
    std::snprintf(name, size_t(name_bytes), "%s", properties.name);
    *multiprocessors = properties.multiProcessorCount;
    *capability = 10 * properties.major + properties.minor;
  });
}

int32_t s3d_cuda_context_create(int32_t device, s3d_cuda_context** context) {
  return guarded([&] {
    require(context, "context: expected a place to put it");
    int count = 0;
    check(cudaGetDeviceCount(&count), "counting devices");
    require(device >= 0 && device < count, "context: no device of this number");
    const s3d::gpu::DeviceScope scope(device);
    *context = new s3d_cuda_context(device);
  });
}

void s3d_cuda_context_destroy(s3d_cuda_context* context) {
  if (!context) return;
  guarded([&] {
    const s3d::gpu::DeviceScope scope(context->device);
    delete context;
  });
}

int64_t s3d_cuda_context_bytes(const s3d_cuda_context* context) {
  if (!context) return 0;
  size_t bytes = context->float32.bytes();
#ifdef S3D_WITH_DOUBLE
  bytes += context->float64.bytes();
#endif
  return int64_t(bytes);
}

int32_t s3d_cuda_context_demand(s3d_cuda_context* context, int64_t* needed, int64_t* capacity) {
  return guarded([&] {
    require(context && needed && capacity, "context_demand: an argument is missing");
    const auto report = [&](auto* w) {
      if (!w->has_forward) return;
      *needed = int64_t(*w->needed.get());
      *capacity = w->frame.capacity;
    };
    *needed = *capacity = 0;
    report(&context->float32);
#ifdef S3D_WITH_DOUBLE
    report(&context->float64);
#endif
  });
}

int32_t s3d_cuda_forward(s3d_cuda_context* context, const s3d_gaussians* gaussians, const s3d_cuda_views* views,
                         const s3d_image* images, const s3d_statistics* statistics) {
  return guarded([&] {
    require(context && gaussians && views && images, "forward: an argument is missing");
    check(*gaussians, *views);
    check(*images, *gaussians, *views);
    on_stream(context, views->stream, [&] {
      with_workspace(context, gaussians->dtype,
                     [&](auto* w) { s3d::gpu::rasterise_forward(w, *gaussians, *views, *images, statistics); });
    });
  });
}

int32_t s3d_cuda_backward(s3d_cuda_context* context, const s3d_gaussians* gaussians, const s3d_cuda_views* views,
                          const s3d_image* images, const s3d_image* image_gradients,
                          const s3d_cuda_gradients* gradients) {
  return guarded([&] {
    require(context && gaussians && views && images && image_gradients && gradients,
            "backward: an argument is missing");
    check(*gaussians, *views);
    check(*images, *gaussians, *views);
    const s3d_cuda_gradients& g = *gradients;
    require(gaussians->count == 0 || (g.means && g.quats && g.scales && g.opacities && g.sh),
            "gradients: an array is missing");
    require(gaussians->count == 0 || gaussians->features == 0 || g.values, "gradients.values: missing");
    on_stream(context, views->stream, [&] {
      with_workspace(context, gaussians->dtype, [&](auto* w) {
        s3d::gpu::rasterise_backward(w, *gaussians, *views, *images, *image_gradients, g);
      });
    });
  });
}

int32_t s3d_cuda_image_loss(s3d_cuda_context* context, const s3d_cuda_loss* loss) {
  return guarded([&] {
    require(context && loss && loss->rendered && loss->target && loss->loss, "image_loss: an argument is missing");
    require(loss->views >= 1 && loss->views <= kMaxViews, "image_loss.views: expected 1 to 4096");
    require(loss->width > 0 && loss->height > 0 && loss->width <= kMaxPixels && loss->height <= kMaxPixels,
            "image_loss: expected a width and a height of 1 to 32768 pixels");
    check_dtype(loss->dtype);
    on_stream(context, loss->stream,
              [&] { with_workspace(context, loss->dtype, [&](auto* w) { s3d::gpu::image_loss(w, *loss); }); });
  });
}

int32_t s3d_cuda_splat_step(s3d_cuda_context* context, const s3d_splat_adam* step, const int32_t* iteration,
                            void* stream) {
  return guarded([&] {
    require(context && step, "splat_step: an argument is missing");
    require(step->count >= 0 && step->count <= INT32_MAX, "splat_step.count: expected 0 to 2^31 - 1");
    require(step->iteration >= 1 || iteration, "splat_step.iteration: expected 1 for the first step");
    require(step->sh_coefficients >= 1 && step->sh_coefficients <= 16, "splat_step.sh_coefficients: expected 1 to 16");
    check_dtype(step->dtype);
    on_stream(context, stream, [&] {
      with_workspace(context, step->dtype,
                     [&](auto* w) { s3d::gpu::splat_step(w, *step, iteration, static_cast<cudaStream_t>(stream)); });
    });
  });
}

int32_t s3d_cuda_patchmatch(s3d_cuda_context* context, const s3d_patchmatch* call, void* stream) {
  return guarded([&] {
    require(context && call, "patchmatch: an argument is missing");
    const char* mistake = s3d::mistake_in(*call);
    require(!mistake, mistake);
    check_dtype(call->dtype);
    on_stream(context, stream, [&] {
      with_workspace(context, call->dtype,
                     [&](auto* w) { s3d::gpu::patchmatch(w, *call, static_cast<cudaStream_t>(stream)); });
    });
  });
}

}  // extern "C"
