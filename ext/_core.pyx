# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, embedsignature=True
"""The C kernels of addersim. This module trusts its caller, addersim.kernels, which checks every argument."""

from libc.stdint cimport int64_t

cdef extern from "core.h":
    ctypedef struct Geometry:
        int64_t images, height, width, channels
        int64_t out_height, out_width, outputs
        int64_t kernel_height, kernel_width
        int64_t stride_height, stride_width
        int64_t padding_height, padding_width
        int64_t dilation_height, dilation_width
        int64_t groups
    ctypedef struct Kernels:
        const char *name
    enum:
        MAX_SETS
    int kernel_sets(const Kernels **sets) nogil
    int openmp_threads() nogil
    int forward_f32(const Kernels *kernels, int l1, const Geometry *g, const float *x, const float *weights, float *y,
                    int threads) nogil
    int l1_input_gradient_f32(const Kernels *kernels, const Geometry *g, const float *gradient, const float *x,
                              const float *weights, float *out, int threads) nogil
    int l1_sign_filter_gradient_f32(const Kernels *kernels, const Geometry *g, const float *gradient, const float *x,
                                    const float *weights, float *out, int threads) nogil


cdef const Kernels *kernels_at(int index):
    cdef const Kernels *sets[MAX_SETS]
    kernel_sets(sets)
    return sets[index]


cdef Geometry geometry_of(numbers):
    """The fields in the order of the struct."""
    cdef Geometry g
    (g.images, g.height, g.width, g.channels, g.out_height, g.out_width, g.outputs, g.kernel_height, g.kernel_width,
     g.stride_height, g.stride_width, g.padding_height, g.padding_width, g.dilation_height, g.dilation_width, g.groups) = numbers
    return g


cdef int done(int status) except -1:
    if status:
        raise MemoryError("addersim._core: no memory for the tiles of a window layer")
    return 0


def instruction_sets():
    """Names of the sets that this machine runs, best first."""
    cdef const Kernels *sets[MAX_SETS]
    cdef int count = kernel_sets(sets)
    return tuple([sets[i].name.decode() for i in range(count)])


def default_threads():
    """Threads that OpenMP would take; 0 where the module was built without OpenMP."""
    return openmp_threads()


def forward(const float[:, :, :, ::1] x, const float[:, :, :, ::1] weights, float[:, :, :, ::1] y, geometry, bint l1, int kernels,
            int threads):
    cdef Geometry g = geometry_of(geometry)
    cdef const Kernels *table = kernels_at(kernels)
    cdef int status
    with nogil:
        status = forward_f32(table, l1, &g, &x[0, 0, 0, 0], &weights[0, 0, 0, 0], &y[0, 0, 0, 0], threads)
    done(status)


def l1_input_gradient(const float[:, :, :, ::1] gradient, const float[:, :, :, ::1] x, const float[:, :, :, ::1] weights,
                      float[:, :, :, ::1] out, geometry, int kernels, int threads):
    cdef Geometry g = geometry_of(geometry)
    cdef const Kernels *table = kernels_at(kernels)
    cdef int status
    with nogil:
        status = l1_input_gradient_f32(table, &g, &gradient[0, 0, 0, 0], &x[0, 0, 0, 0], &weights[0, 0, 0, 0],
                                       &out[0, 0, 0, 0], threads)
    done(status)


def l1_sign_filter_gradient(const float[:, :, :, ::1] gradient, const float[:, :, :, ::1] x, const float[:, :, :, ::1] weights,
                            float[:, :, :, ::1] out, geometry, int kernels, int threads):
    cdef Geometry g = geometry_of(geometry)
    cdef const Kernels *table = kernels_at(kernels)
    cdef int status
    with nogil:
        status = l1_sign_filter_gradient_f32(table, &g, &gradient[0, 0, 0, 0], &x[0, 0, 0, 0], &weights[0, 0, 0, 0],
                                             &out[0, 0, 0, 0], threads)
    done(status)
