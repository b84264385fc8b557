/* What the parts of addersim._core share: geometry of a window layer, and the table of kernels of one instruction set.
   Nothing here checks its input: addersim/kernels.py does. All arrays are contiguous, channels last. */
#ifndef ADDERSIM_CORE_H
#define ADDERSIM_CORE_H

#include <stddef.h>
#include <stdint.h>

/* x: (images, height, width, channels); weights: (outputs, kernel_height, kernel_width, channels / groups);
   y: (images, out_height, out_width, outputs). */
typedef struct {
    int64_t images, height, width, channels;
    int64_t out_height, out_width, outputs;
    int64_t kernel_height, kernel_width;
    int64_t stride_height, stride_width;
    int64_t padding_height, padding_width;
    int64_t dilation_height, dilation_width;
    int64_t groups;
} Geometry;

static inline int64_t taps_of(const Geometry *g) { return g->kernel_height * g->kernel_width * (g->channels / g->groups); }
static inline int64_t pixels_of(const Geometry *g) { return g->images * g->out_height * g->out_width; }
static inline int is_depthwise(const Geometry *g) { return g->groups == g->channels && g->groups == g->outputs && g->groups > 1; }
static inline int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }
static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* A panel kernel holds `rows` windows x up to `vectors` vectors of `lanes` outputs in registers and walks the taps in
   steps of `step_bytes`: one step of a window is broadcast against the same step of every output.

   windows: row_blocks * rows windows, window_stride bytes apart;
   panel:   steps x (vectors * lanes) outputs x step_bytes, packed by pack_panels;
   sums:    one 4-byte sum an output, sums_stride elements between windows; added to where accumulate is set. */
typedef void (*PanelFunction)(const void *windows, int64_t window_stride, int64_t row_blocks, const void *panel, int64_t steps,
                              int vectors, void *sums, int64_t sums_stride, int accumulate);
typedef struct {
    PanelFunction run;
    int rows, vectors, lanes, step_bytes;
} Panel;

/* The kernels of one instruction set. */
typedef struct {
    const char *name;
    Panel l1_f32;
    Panel mac_f32;
    int gradient_rows, gradient_lanes;
    /* out[row][lane] = sum over taps and outputs of gradient * clamp(w - x, -1, 1) */
    void (*l1_gradient)(const float *x, const float *const *gradients, const float *const *weights, int64_t taps,
                        int64_t outputs, float *out);
    /* One output pixel of a depthwise layer; x and weights: `taps` pointers to `channels` values. */
    void (*depthwise_f32)(int l1, const float *const *x, const float *weights, int64_t taps, int64_t channels, float *y);
    void (*depthwise_gradient)(const float *x, const float *const *gradients, const float *const *weights, int64_t taps,
                               int64_t channels, float *out);
    /* filter[k] += sum over windows of gradient * sign(x - w) */
    void (*sign_gradient)(const float *windows, int64_t window_stride, int64_t count, const float *gradient,
                          int64_t gradient_stride, const float *weights, int64_t taps, float *filter);
} Kernels;

/* dispatch.c: the sets compiled in, and whether this processor runs them. */
#define MAX_SETS 4
int kernel_sets(const Kernels *sets[MAX_SETS]);
int openmp_threads(void);
int use_threads(int threads);
int thread_number(void);

/* gather.c */
int64_t tile_windows(int64_t windows, int64_t window_bytes, int64_t unit, int threads);
void gather_windows(const Geometry *g, const void *x, int element_bytes, int64_t group, int64_t first, int64_t count,
                    void *windows, int64_t window_stride);
void *allocate(int64_t bytes);
void transpose_f32(const float *from, int64_t outputs, int64_t taps, float *to);

/* Layout of the packed weights of one group: full panels first, then one narrower panel. */
int64_t packed_bytes(const Panel *panel, int64_t outputs, int64_t taps, int element_bytes);
void pack_panels(const Panel *panel, const void *weights, int64_t outputs, int64_t taps, int element_bytes, void *packed);

/* float.c, gradient.c: 0, or -1 where memory ran out. */
int forward_f32(const Kernels *kernels, int l1, const Geometry *g, const float *x, const float *weights, float *y, int threads);
int l1_input_gradient_f32(const Kernels *kernels, const Geometry *g, const float *gradient, const float *x,
                          const float *weights, float *out, int threads);
int l1_sign_filter_gradient_f32(const Kernels *kernels, const Geometry *g, const float *gradient, const float *x,
                                const float *weights, float *out, int threads);

#endif
