"""The C ABI in ctypes: the structs and functions of `cuda/include/sparse3d/c_api.h`, field by field."""

import ctypes

VERSION = 4
OK = 0
OUT_OF_MEMORY = 2
FLOAT32, FLOAT64 = 0, 1
MAX_FEATURES = 32
MAX_STEREO_VIEWS = 8

_pointer = ctypes.c_void_p
_int = ctypes.c_int32
_double = ctypes.c_double


class Gaussians(ctypes.Structure):
    _fields_ = (
        ("count", ctypes.c_int64),
        ("dtype", _int),
        ("sh_coefficients", _int),
        ("features", _int),
        ("reserved", _int),
        ("means", _pointer),
        ("quats", _pointer),
        ("scales", _pointer),
        ("opacities", _pointer),
        ("sh", _pointer),
        ("values", _pointer),
    )


class View(ctypes.Structure):
    _fields_ = (
        ("width", _int),
        ("height", _int),
        ("antialias", _int),
        ("with_depth", _int),
        ("with_median_depth", _int),
        ("with_normals", _int),
        ("with_statistics", _int),
        ("threads", _int),
        ("mask", _pointer),
        ("cam_from_world", _double * 12),
        ("fx", _double),
        ("fy", _double),
        ("cx", _double),
        ("cy", _double),
        ("near_plane", _double),
        ("eps2d", _double),
        ("background", _double * 3),
    )


class Image(ctypes.Structure):
    _fields_ = (
        ("rgb", _pointer),
        ("alpha", _pointer),
        ("depth", _pointer),
        ("median_depth", _pointer),
        ("normals", _pointer),
        ("values", _pointer),
    )


class Statistics(ctypes.Structure):
    _fields_ = (("radii", _pointer), ("weight_sum", _pointer), ("weight_max", _pointer))


class Gradients(ctypes.Structure):
    _fields_ = (
        ("means", _pointer),
        ("quats", _pointer),
        ("scales", _pointer),
        ("opacities", _pointer),
        ("sh", _pointer),
        ("values", _pointer),
        ("centres", _pointer),
        ("cam_from_world", _double * 12),
        ("intrinsics", _double * 4),
        ("accumulate", _int),
        ("reserved", _int),
    )


class Loss(ctypes.Structure):
    _fields_ = (
        ("width", _int),
        ("height", _int),
        ("dtype", _int),
        ("threads", _int),
        ("rendered", _pointer),
        ("target", _pointer),
        ("weights", _pointer),
        ("gradient", _pointer),
        ("ssim_weight", _double),
        ("scale", _double),
        ("l1_sum", _double),
        ("ssim_sum", _double),
        ("squares_sum", _double),
    )


class Depth(ctypes.Structure):
    _fields_ = (
        ("count", ctypes.c_int64),
        ("dtype", _int),
        ("threads", _int),
        ("rendered", _pointer),
        ("alpha", _pointer),
        ("known", _pointer),
        ("confidence", _pointer),
        ("gradient", _pointer),
        ("min_alpha", _double),
        ("softness", _double),
        ("cutoff", _double),
        ("scale", _double),
        ("loss", _double),
    )


class AdamArray(ctypes.Structure):
    _fields_ = (
        ("values", _pointer),
        ("first", _pointer),
        ("second", _pointer),
        ("gradient", _pointer),
        ("rate", _double),
    )


class SplatAdam(ctypes.Structure):
    _fields_ = (
        ("count", ctypes.c_int64),
        ("dtype", _int),
        ("sh_coefficients", _int),
        ("threads", _int),
        ("iteration", _int),
        ("beta1", _double),
        ("beta2", _double),
        ("epsilon", _double),
        ("sh_rest_rate", _double),
        ("means", AdamArray),
        ("quats", AdamArray),
        ("log_scales", AdamArray),
        ("logit_opacities", AdamArray),
        ("sh", AdamArray),
        ("mean_rates", _pointer),
        ("min_log_scales", _pointer),
        ("max_log_scales", _pointer),
        ("scales", _pointer),
        ("opacities", _pointer),
    )


class StereoView(ctypes.Structure):
    _fields_ = (
        ("width", _int),
        ("height", _int),
        ("quads", _pointer),
        ("inverse", _pointer),
        ("visible", _pointer),
        ("homography", _double * 9),
        ("shift", _double * 3),
        ("back_homography", _double * 9),
        ("back_shift", _double * 3),
    )


class Patchmatch(ctypes.Structure):
    _fields_ = (
        ("width", _int),
        ("height", _int),
        ("dtype", _int),
        ("threads", _int),
        ("views", _int),
        ("iterations", _int),
        ("seed", _int),
        ("reserved", _int),
        ("quads", _pointer),
        ("mask", _pointer),
        ("others", ctypes.POINTER(StereoView)),
        ("prior_inverse", _pointer),
        ("prior_slope_x", _pointer),
        ("prior_slope_y", _pointer),
        ("prior_weight", _pointer),
        ("inverse", _pointer),
        ("slope_x", _pointer),
        ("slope_y", _pointer),
        ("cost", _pointer),
        ("view_costs", _pointer),
        ("far_inverse", _double),
        ("near_inverse", _double),
        ("step", _double),
        ("reach", _double),
        ("grey_share", _double),
        ("geometric_share", _double),
        ("max_error", _double),
    )


def declare(library: ctypes.CDLL) -> None:
    """Give the library's functions their types."""
    struct = ctypes.POINTER
    library.s3d_last_error.restype = ctypes.c_char_p
    library.s3d_isa.restype = ctypes.c_char_p
    library.s3d_context_create.argtypes = [struct(_pointer)]
    library.s3d_context_destroy.argtypes = [_pointer]
    library.s3d_context_destroy.restype = None
    library.s3d_context_bytes.argtypes = [_pointer]
    library.s3d_context_bytes.restype = ctypes.c_int64
    library.s3d_forward.argtypes = [_pointer, struct(Gaussians), struct(View), struct(Image), struct(Statistics)]
    library.s3d_backward.argtypes = [
        _pointer,
        struct(Gaussians),
        struct(View),
        struct(Image),
        struct(Image),
        struct(Gradients),
    ]
    library.s3d_image_loss.argtypes = [_pointer, struct(Loss)]
    library.s3d_depth_loss.argtypes = [_pointer, struct(Depth)]
    library.s3d_stereo_patchmatch.argtypes = [_pointer, struct(Patchmatch)]
    library.s3d_splat_step.argtypes = [struct(SplatAdam)]
