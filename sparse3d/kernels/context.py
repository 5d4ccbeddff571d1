"""A pool of rasteriser contexts: what a forward pass leaves for its backward pass, without allocating anew."""

import ctypes
import threading
import weakref

from sparse3d.kernels.library import check, load_library


class ContextPool:
    """Idle contexts, handed out last in, first out, so that a steady loop finds its memory warm."""

    def __init__(self) -> None:
        self._idle: list[int] = []
        self._lock = threading.Lock()

    def acquire(self) -> "Lease":
        with self._lock:
            handle = self._idle.pop() if self._idle else None
        return Lease(self, self._create() if handle is None else handle)

    def _create(self) -> int:
        fresh = ctypes.c_void_p()
        check(load_library().s3d_context_create(ctypes.byref(fresh)))
        assert fresh.value is not None
        return fresh.value

    def _destroy(self, handle: int) -> None:
        load_library().s3d_context_destroy(handle)

    def _bytes(self, handle: int) -> int:
        return load_library().s3d_context_bytes(handle)

    def _give_back(self, handle: int) -> None:
        with self._lock:
            self._idle.append(handle)

    def release_memory(self) -> None:
        """Destroy the idle contexts."""
        with self._lock:
            idle, self._idle = self._idle, []
        for handle in idle:
            self._destroy(handle)

    def idle_bytes(self) -> int:
        """Bytes that the idle contexts hold."""
        with self._lock:
            return sum(self._bytes(handle) for handle in self._idle)


class Lease:
    """One context in one call's hands. It returns to the pool when released, or when nobody refers to it any more."""

    def __init__(self, pool: ContextPool, handle: int) -> None:
        self.handle = handle
        self._finalizer = weakref.finalize(self, pool._give_back, handle)
        self._finalizer.atexit = False

    def release(self) -> None:
        """Give the context back early; calling it twice does nothing."""
        self._finalizer()


POOL = ContextPool()
"""The process's contexts. A handle of a forked parent works in the child too: it is only memory."""
