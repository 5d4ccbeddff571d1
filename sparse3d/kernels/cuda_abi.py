"""The C ABI of the GPU's kernels in ctypes: `cuda/include/sparse3d/cuda_api.h`, field by field."""

import ctypes

from sparse3d.kernels.abi import Gaussians, Image, Patchmatch, SplatAdam, Statistics

VERSION = 2
NO_DEVICE = 16

_pointer = ctypes.c_void_p
_int = ctypes.c_int32
_double = ctypes.c_double


class Views(ctypes.Structure):
    _fields_ = (
        ("count", _int),
        ("width", _int),
        ("height", _int),
        ("camera_dtype", _int),
        ("antialias", _int),
        ("with_depth", _int),
        ("with_median_depth", _int),
        ("with_normals", _int),
        ("wait", _int),
        ("reserved", _int),
        ("cam_from_world", _pointer),
        ("intrinsics", _pointer),
        ("masks", _pointer),
        ("near_plane", _double),
        ("eps2d", _double),
        ("background", _double * 3),
        ("stream", _pointer),
    )


class Gradients(ctypes.Structure):
    _fields_ = (
        ("means", _pointer),
        ("quats", _pointer),
        ("scales", _pointer),
        ("opacities", _pointer),
        ("sh", _pointer),
        ("values", _pointer),
        ("centres", _pointer),
        ("cam_from_world", _pointer),
        ("intrinsics", _pointer),
    )


class Loss(ctypes.Structure):
    _fields_ = (
        ("views", _int),
        ("width", _int),
        ("height", _int),
        ("dtype", _int),
        ("rendered", _pointer),
        ("target", _pointer),
        ("weights", _pointer),
        ("gradient", _pointer),
        ("loss", _pointer),
        ("ssim_weight", _double),
        ("stream", _pointer),
    )


def declare(library: ctypes.CDLL) -> None:
    """Give the library's functions their types."""
    struct = ctypes.POINTER
    library.s3d_cuda_last_error.restype = ctypes.c_char_p
    library.s3d_cuda_platform.restype = ctypes.c_char_p
    library.s3d_cuda_device_count.argtypes = [struct(_int)]
    library.s3d_cuda_device_info.argtypes = [_int, ctypes.c_char_p, _int, struct(_int), struct(_int)]
    library.s3d_cuda_context_create.argtypes = [_int, struct(_pointer)]
    library.s3d_cuda_context_destroy.argtypes = [_pointer]
    library.s3d_cuda_context_destroy.restype = None
    library.s3d_cuda_context_bytes.argtypes = [_pointer]
    library.s3d_cuda_context_bytes.restype = ctypes.c_int64
    library.s3d_cuda_context_demand.argtypes = [_pointer, struct(ctypes.c_int64), struct(ctypes.c_int64)]
    library.s3d_cuda_forward.argtypes = [_pointer, struct(Gaussians), struct(Views), struct(Image), struct(Statistics)]
    library.s3d_cuda_backward.argtypes = [
        _pointer,
        struct(Gaussians),
        struct(Views),
        struct(Image),
        struct(Image),
        struct(Gradients),
    ]
    library.s3d_cuda_image_loss.argtypes = [_pointer, struct(Loss)]
    library.s3d_cuda_splat_step.argtypes = [_pointer, struct(SplatAdam), _pointer, _pointer]
    library.s3d_cuda_patchmatch.argtypes = [_pointer, struct(Patchmatch), _pointer]
