/* The C ABI of the sparse3d kernels for NVIDIA GPUs: all views of a call in one launch. It shares the structs of
 * Gaussians, images and statistics with the CPU's (c_api.h); here their pointers are the device's, and images have a
 * leading axis of views: (v, h, w, ...), statistics are (v, n). Nothing here aborts or throws.
 *
 * Work is put on the stream that the call names and the call returns. A context belongs to one device, serves one call
 * at a time and keeps from s3d_cuda_forward what s3d_cuda_backward of the same call reads. Where a context's calls name
 * different streams, each waits for the one before.
 */
#ifndef SPARSE3D_CUDA_API_H_
#define SPARSE3D_CUDA_API_H_

#include "sparse3d/c_api.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever a struct or a function below, or one of c_api.h that they use, changes. */
#define S3D_CUDA_ABI_VERSION 2

/* Status codes besides those of c_api.h. */
enum s3d_cuda_status {
  S3D_CUDA_NO_DEVICE = 16,    /* no usable NVIDIA driver or device; the message says what to do */
  S3D_CUDA_DEVICE_ERROR = 17, /* the CUDA runtime reported an error, perhaps of earlier work on the device */
  S3D_CUDA_NO_ROOM = 18       /* a call that must not wait needs more work memory than the context has: see `wait` */
};

typedef struct s3d_cuda_context s3d_cuda_context;

typedef struct s3d_cuda_views {
  int32_t count, width, height;                                   /* v views of one size in pixels */
  int32_t camera_dtype;                                           /* enum s3d_dtype, of cam_from_world and intrinsics */
  int32_t antialias, with_depth, with_median_depth, with_normals; /* as in s3d_view */
  /* 1: the number of splat-tile pairs is looked at by the host before the call returns (the device goes on meanwhile),
   *    and the call repeats its second half should the memory that was set aside have been too little.
   * 0: the host never waits, so that a graph can be captured; memory is what the call before set aside,
   *    which must have had the same sizes and options: up to a quarter more than it needed. Should it be too little,
   *    the images are NaN and the gradients zero. */
  int32_t wait;
  int32_t reserved;
  const void* cam_from_world; /* (v, 4, 4) */
  const void* intrinsics;     /* (v, 3, 3), pixels */
  const uint8_t* masks;       /* (v, h, w): pixels of 0 are left empty; NULL draws all */
  double near_plane;          /* scene units, positive */
  double eps2d;               /* square pixels */
  double background[3];
  void* stream; /* cudaStream_t; NULL is the default stream */
} s3d_cuda_views;

/* Gradients of the loss summed over the views, of the call's dtype; the cameras' are double. Arrays are overwritten. */
typedef struct s3d_cuda_gradients {
  void* means;
  void* quats;
  void* scales;
  void* opacities;
  void* sh;
  void* values;         /* NULL without features */
  void* centres;        /* (v, n, 2) to the projected centres, in pixels, or NULL */
  void* cam_from_world; /* (v, 4, 4) double, the last row zero; or NULL */
  void* intrinsics;     /* (v, 3, 3) double, zero but for fx, fy, cx, cy; or NULL */
} s3d_cuda_gradients;

/* As s3d_loss, over all views; the mean is taken on the device: ((1 - ssim_weight) * sum of weight * |difference| +
 * ssim_weight * sum of weight * (1 - SSIM)) / max(3 * sum of weights, 1). */
typedef struct s3d_cuda_loss {
  int32_t views, width, height, dtype;
  const void* rendered; /* (v, h, w, 3) */
  const void* target;   /* (v, h, w, 3) */
  const void* weights;  /* (v, h, w) in [0, 1], or NULL for ones */
  void* gradient;       /* (v, h, w, 3) d loss / d rendered, or NULL */
  void* loss;           /* (2) of the dtype: the loss, and the mean of weight * difference^2 */
  double ssim_weight;
  void* stream;
} s3d_cuda_loss;

S3D_API int32_t s3d_cuda_abi_version(void);
/* Message of the last call that failed in this thread. */
S3D_API const char* s3d_cuda_last_error(void);
/* "cuda", or "emulation" for the build that runs the kernels on the CPU, for tests: pointers are the host's there. */
S3D_API const char* s3d_cuda_platform(void);

S3D_API int32_t s3d_cuda_device_count(int32_t* count);
/* Name, number of multiprocessors and compute capability (90 for 9.0) of a device. */
S3D_API int32_t s3d_cuda_device_info(int32_t device, char* name, int32_t name_bytes, int32_t* multiprocessors,
                                     int32_t* capability);

S3D_API int32_t s3d_cuda_context_create(int32_t device, s3d_cuda_context** context);
S3D_API void s3d_cuda_context_destroy(s3d_cuda_context* context);
/* Bytes of device memory that the context holds. */
S3D_API int64_t s3d_cuda_context_bytes(const s3d_cuda_context* context);
/* Splat-tile pairs that the last forward pass needed as far as the device has told, and those there was room for. */
S3D_API int32_t s3d_cuda_context_demand(s3d_cuda_context* context, int64_t* needed, int64_t* capacity);

S3D_API int32_t s3d_cuda_forward(s3d_cuda_context* context, const s3d_gaussians* gaussians, const s3d_cuda_views* views,
                                 const s3d_image* images, const s3d_statistics* statistics);
/* `gaussians`, `views` and `images` as in the forward pass; any of `image_gradients` may be NULL. */
S3D_API int32_t s3d_cuda_backward(s3d_cuda_context* context, const s3d_gaussians* gaussians,
                                  const s3d_cuda_views* views, const s3d_image* images,
                                  const s3d_image* image_gradients, const s3d_cuda_gradients* gradients);

/* The context lends its memory only; it may hold a forward pass. */
S3D_API int32_t s3d_cuda_image_loss(s3d_cuda_context* context, const s3d_cuda_loss* loss);

/* As s3d_splat_step. `iteration` is a device value that counts in place of the step's own, for steps that a graph
 * repeats; or NULL. */
S3D_API int32_t s3d_cuda_splat_step(s3d_cuda_context* context, const s3d_splat_adam* step, const int32_t* iteration,
                                    void* stream);

/* As s3d_stereo_patchmatch; `threads` does not count. Images are the device's, the call and its `others` the host's.
 * The context lends its memory only; it may hold a forward pass. Not for the capture of a graph. */
S3D_API int32_t s3d_cuda_patchmatch(s3d_cuda_context* context, const s3d_patchmatch* call, void* stream);

#ifdef __cplusplus
}
#endif

#endif /* SPARSE3D_CUDA_API_H_ */
