/* The C ABI of the sparse3d kernels: pointers, sizes, an error code and a message. Nothing here aborts or throws.
 *
 * All arrays are dense and row-major, of the type that `dtype` names. Frames and units are those of the library:
 * OpenCV camera axes, points_cam = cam_from_world * points_world, pixel centres at +0.5, quaternions w x y z.
 *
 * One context serves one view at a time: s3d_forward leaves in it what s3d_backward of the same view reads. A context
 * may be used again for another view once its backward pass is done. Different contexts may be used from different
 * threads.
 */
#ifndef SPARSE3D_C_API_H_
#define SPARSE3D_C_API_H_

#include <stdint.h>

#if defined(__GNUC__)
#define S3D_API __attribute__((visibility("default")))
#else
#define S3D_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever a struct or a function below changes its meaning or its layout. */
#define S3D_ABI_VERSION 4

enum s3d_status { S3D_OK = 0, S3D_INVALID_ARGUMENT = 1, S3D_OUT_OF_MEMORY = 2, S3D_INTERNAL = 3 };
enum s3d_dtype { S3D_FLOAT32 = 0, S3D_FLOAT64 = 1 };
enum { S3D_MAX_FEATURES = 32, S3D_MAX_STEREO_VIEWS = 8 };

typedef struct s3d_context s3d_context;

typedef struct s3d_gaussians {
  int64_t count;           /* n; may be zero */
  int32_t dtype;           /* enum s3d_dtype, of every array in the call */
  int32_t sh_coefficients; /* k: 1, 4, 9 or 16 */
  int32_t features;        /* c: extra channels, 0 to S3D_MAX_FEATURES */
  int32_t reserved;
  const void* means;     /* (n, 3) world space */
  const void* quats;     /* (n, 4) w x y z, of any length but zero */
  const void* scales;    /* (n, 3) standard deviations in scene units */
  const void* opacities; /* (n) in [0, 1] */
  const void* sh;        /* (n, k, 3) */
  const void* values;    /* (n, c) extra channels, or NULL */
} s3d_gaussians;

typedef struct s3d_view {
  int32_t width, height;     /* pixels */
  int32_t antialias;         /* 1: opacity is compensated for eps2d (Yu et al. 2024) */
  int32_t with_depth;        /* 1: z-depth is blended as a channel */
  int32_t with_median_depth; /* 1: the z-depth at which half of the light is gone */
  int32_t with_normals;      /* 1: the Gaussians' normals are blended as three channels */
  int32_t with_statistics;   /* 1: per-Gaussian blending weights are recorded by s3d_forward */
  int32_t threads;           /* at least 1 */
  const uint8_t* mask;       /* (h, w): pixels of 0 are left empty, tiles of them are skipped; NULL draws all */
  double cam_from_world[12]; /* 3x4 row-major */
  double fx, fy, cx, cy;     /* pixels */
  double near_plane;         /* scene units, positive */
  double eps2d;              /* square pixels, added to the diagonal of the 2D covariance */
  double background[3];
} s3d_view;

/* What a view shows, or the loss's gradients with respect to it. */
typedef struct s3d_image {
  void* rgb;   /* (h, w, 3) over the background */
  void* alpha; /* (h, w) */
  void* depth; /* (h, w) mean z of what was blended (sum of weight * z over alpha), 0 where alpha <= 0.001; or NULL */
  void* median_depth; /* (h, w) z of the splat at which the transmittance falls below 1/2, 0 where none; or NULL */
  void* normals; /* (h, w, 3) sum of weight * normal: the shortest axis in world space, towards the camera; or NULL */
  void* values;  /* (h, w, c) sum of weight * value; NULL without features */
} s3d_image;

/* Per-Gaussian figures of one view; every pointer may be NULL. A Gaussian that is not drawn has zeros. */
typedef struct s3d_statistics {
  void* radii;      /* (n) larger half-extent of the footprint in pixels */
  void* weight_sum; /* (n) sum over pixels of the blending weight; needs with_statistics */
  void* weight_max; /* (n) maximum over pixels of the blending weight; needs with_statistics */
} s3d_statistics;

/* Gradients of the loss, of the call's dtype; the cameras' are always double. */
typedef struct s3d_gradients {
  void* means;
  void* quats;
  void* scales;
  void* opacities;
  void* sh;
  void* values;              /* NULL without features */
  void* centres;             /* (n, 2) to the projected centres, in pixels, or NULL */
  double cam_from_world[12]; /* 3x4 row-major */
  double intrinsics[4];      /* fx, fy, cx, cy */
  int32_t accumulate;        /* 1: Gaussians' gradients (not centres) are added to what the arrays hold */
  int32_t reserved;
} s3d_gradients;

/* (1 - ssim_weight) * L1 + ssim_weight * (1 - SSIM) of one view, with an 11-tap Gaussian window of 1.5 pixels; the
 * images continue as black. Where weights are w, the rendering is taken as target + w * (rendered - target). */
typedef struct s3d_loss {
  int32_t width, height, dtype, threads;
  const void* rendered; /* (h, w, 3) */
  const void* target;   /* (h, w, 3) */
  const void* weights;  /* (h, w) in [0, 1], or NULL for ones */
  void* gradient;       /* (h, w, 3) d (scale * loss sum) / d rendered, or NULL */
  double ssim_weight, scale;
  double l1_sum;      /* out: sum over pixels and channels of weight * |rendered - target| */
  double ssim_sum;    /* out: sum of weight * SSIM */
  double squares_sum; /* out: sum of weight * (rendered - target)^2 */
} s3d_loss;

/* Robust relative error of depth, weighted by confidence where alpha > min_alpha and a depth is known; see
 * robust_depth.h. */
typedef struct s3d_depth {
  int64_t count; /* pixels */
  int32_t dtype, threads;
  const void* rendered;   /* (count) z-depth */
  const void* alpha;      /* (count) */
  const void* known;      /* (count) z-depth, 0 where unknown */
  const void* confidence; /* (count) in [0, 1] */
  void* gradient;         /* (count) d (scale * loss) / d rendered, or NULL */
  double min_alpha, softness, cutoff, scale;
  double loss; /* out: sum of weight * error over max(1, sum of weight) */
} s3d_depth;

/* One array of the optimiser: values with Adam's two moments, and the loss's gradient to what is drawn of them. */
typedef struct s3d_adam_array {
  void* values;
  void* first;
  void* second;
  const void* gradient;
  double rate; /* 0: values and moments are left as they are */
} s3d_adam_array;

/* One step of Adam for all Gaussians, in place. The gradients are those that s3d_backward gives; the chain rule of
 * scale = exp(log_scale) and opacity = sigmoid(logit_opacity) is applied here, from the drawn values on entry. */
typedef struct s3d_splat_adam {
  int64_t count;
  int32_t dtype, sh_coefficients, threads;
  int32_t iteration; /* 1 for the first step */
  double beta1, beta2, epsilon;
  double sh_rest_rate;            /* of all coefficients but the constant one, whose rate is sh.rate */
  s3d_adam_array means;           /* (n, 3) */
  s3d_adam_array quats;           /* (n, 4) */
  s3d_adam_array log_scales;      /* (n, 3); the gradient is that to the scales */
  s3d_adam_array logit_opacities; /* (n); the gradient is that to the opacities */
  s3d_adam_array sh;              /* (n, k, 3) */
  const void* mean_rates;         /* (n, 3) factors of means.rate */
  const void* min_log_scales;     /* (n, 3) */
  const void* max_log_scales;     /* (n, 3) */
  void* scales;                   /* (n, 3) in: as drawn; out: to draw next */
  void* opacities;                /* (n) likewise */
} s3d_splat_adam;

/* A view that another one is matched with. Homogeneous coordinates of the reference's pixel (x, y), centres at +0.5,
 * with inverse depth u: homography (x, y, 1) + u * shift, counted from this view's first pixel's centre; and the way
 * back from these coordinates to the reference's. */
typedef struct s3d_stereo_view {
  int32_t width, height;
  const uint32_t* quads; /* (h, w): grey bytes of a pixel (low) and of those right, below and below right of it */
  const void* inverse;   /* (h, w) inverse depth, 0 unknown, negative where masked; or NULL */
  const void* visible;   /* (reference h, w) weight of this view at each pixel; or NULL for ones */
  double homography[9], shift[3], back_homography[9], back_shift[3];
} s3d_stereo_view;

/* PatchMatch of one view: planes of inverse depth, changed in place to those that match best. */
typedef struct s3d_patchmatch {
  int32_t width, height, dtype, threads;
  int32_t views, iterations, seed, reserved;
  const uint32_t* quads;         /* (h, w) of the reference */
  const uint8_t* mask;           /* (h, w): pixels of 0 are left as they are */
  const s3d_stereo_view* others; /* (views), 1 to S3D_MAX_STEREO_VIEWS */
  const void* prior_inverse;     /* (h, w) a plane that is tried at each pixel ... */
  const void* prior_slope_x;
  const void* prior_slope_y;
  const void* prior_weight; /* ... and the cost of being two steps away from it; or all NULL */
  void* inverse;            /* (h, w) in and out */
  void* slope_x;            /* (h, w) change of inverse depth a pixel to the right, in and out */
  void* slope_y;            /* (h, w) likewise down */
  void* cost;               /* (h, w) out: of the planes; 2 where nothing can be said */
  void* view_costs;         /* (views, h, w) out: the cost in each view, 2 where it does not see the pixel; or NULL */
  double far_inverse, near_inverse; /* range of inverse depth */
  double step;                      /* change of inverse depth that moves a pixel by about one in the other views */
  double reach;                     /* perturbation in the first iteration, in steps; halved in each */
  double grey_share;                /* of the plain difference of grey in the photometric cost */
  double geometric_share;           /* cost of missing the other views' surfaces by max_error pixels */
  double max_error;
} s3d_patchmatch;

S3D_API int32_t s3d_abi_version(void);
/* Message of the last call that failed in this thread. */
S3D_API const char* s3d_last_error(void);
/* Instruction set in use: "avx512", "avx2", "sse42" or "generic". SPARSE3D_ISA in the environment overrides the choice.
 */
S3D_API const char* s3d_isa(void);

S3D_API int32_t s3d_context_create(s3d_context** context);
S3D_API void s3d_context_destroy(s3d_context* context);
/* Bytes that the context holds. */
S3D_API int64_t s3d_context_bytes(const s3d_context* context);

S3D_API int32_t s3d_forward(s3d_context* context, const s3d_gaussians* gaussians, const s3d_view* view,
                            const s3d_image* image, const s3d_statistics* statistics);
/* `gaussians`, `view` and `image` as in the forward pass; `image_gradients` has the image's shapes. */
S3D_API int32_t s3d_backward(s3d_context* context, const s3d_gaussians* gaussians, const s3d_view* view,
                             const s3d_image* image, const s3d_image* image_gradients, s3d_gradients* gradients);

/* The context lends its memory only; it may hold a forward pass. */
S3D_API int32_t s3d_image_loss(s3d_context* context, s3d_loss* loss);

S3D_API int32_t s3d_depth_loss(s3d_context* context, s3d_depth* depth);
/* The context lends its memory only; it may hold a forward pass. */
S3D_API int32_t s3d_stereo_patchmatch(s3d_context* context, const s3d_patchmatch* call);

S3D_API int32_t s3d_splat_step(const s3d_splat_adam* step);

#ifdef __cplusplus
}
#endif

#endif /* SPARSE3D_C_API_H_ */
