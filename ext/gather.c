/* Windows gathered tile by tile into cache, and weights packed for the panel kernels. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

/* Scratch on cache lines; the size is rounded up, as aligned_alloc demands. */
void *allocate(int64_t bytes) { return aligned_alloc(64, (size_t)round_up(larger(bytes, 1), 64)); }

/* Windows in a tile: a multiple of `unit`, at most about 96 KiB of operands, at least four tiles a thread where that many exist. */
int64_t tile_windows(int64_t windows, int64_t window_bytes, int64_t unit, int threads) {
    int64_t fit = larger(unit, smaller(512, 96 * 1024 / larger(1, window_bytes)) / unit * unit);
    int64_t share = round_up(larger(1, windows / (4 * (int64_t)threads)), unit);
    return smaller(fit, share);
}

/* memcpy for short runs of unknown length: two overlapping moves instead of a call. */
static inline void copy_run(char *to, const char *from, int64_t bytes) {
    if (bytes > 128) {
        memcpy(to, from, (size_t)bytes);
    } else if (bytes >= 16) {
        for (int64_t i = 0; i + 16 < bytes; i += 16) memcpy(to + i, from + i, 16);
        memcpy(to + bytes - 16, from + bytes - 16, 16);
    } else if (bytes >= 8) {
        memcpy(to, from, 8);
        memcpy(to + bytes - 8, from + bytes - 8, 8);
    } else if (bytes >= 4) {
        memcpy(to, from, 4);
        memcpy(to + bytes - 4, from + bytes - 4, 4);
    } else {
        for (int64_t i = 0; i < bytes; i++) to[i] = from[i];
    }
}

/* One kernel row of one window; taps outside the image are zero. */
static inline void gather_row(const Geometry *g, const char *image_row, int64_t left, int64_t tap_bytes, int64_t pixel_bytes, char *to) {
    int64_t dilation = g->dilation_width, taps = g->kernel_width;
    if (left >= 0 && left + (taps - 1) * dilation < g->width && dilation == 1 && tap_bytes == pixel_bytes) {
        copy_run(to, image_row + left * pixel_bytes, taps * tap_bytes);
        return;
    }
    for (int64_t tap = 0; tap < taps; tap++, to += tap_bytes) {
        int64_t column = left + tap * dilation;
        if (column >= 0 && column < g->width) {
            copy_run(to, image_row + column * pixel_bytes, tap_bytes);
        } else {
            memset(to, 0, (size_t)tap_bytes);
        }
    }
}

void gather_windows(const Geometry *g, const void *x, int element_bytes, int64_t group, int64_t first, int64_t count,
                    void *windows, int64_t window_stride) {
    const int64_t pixel_bytes = g->channels * element_bytes, tap_bytes = pixel_bytes / g->groups;
    const int64_t row_bytes = g->kernel_width * tap_bytes, used = g->kernel_height * row_bytes;
    int64_t column = first % g->out_width, row = first / g->out_width % g->out_height;
    int64_t image = first / g->out_width / g->out_height;
    char *to = windows;
    for (int64_t i = 0; i < count; i++, to += window_stride) {
        const char *pixels = (const char *)x + image * g->height * g->width * pixel_bytes + group * tap_bytes;
        const int64_t left = column * g->stride_width - g->padding_width;
        for (int64_t kernel_row = 0; kernel_row < g->kernel_height; kernel_row++) {
            int64_t y = row * g->stride_height - g->padding_height + kernel_row * g->dilation_height;
            if (y < 0 || y >= g->height) {
                memset(to + kernel_row * row_bytes, 0, (size_t)row_bytes);
            } else {
                gather_row(g, pixels + y * g->width * pixel_bytes, left, tap_bytes, pixel_bytes, to + kernel_row * row_bytes);
            }
        }
        memset(to + used, 0, (size_t)(window_stride - used));
        if (++column == g->out_width) {
            column = 0;
            if (++row == g->out_height) {
                row = 0;
                image++;
            }
        }
    }
}

void window_pixels(const Geometry *g, const void *x, int element_bytes, const void *outside, int64_t pixel, const void **pixels) {
    const int64_t column = pixel % g->out_width, row = pixel / g->out_width % g->out_height, bytes = g->channels * element_bytes;
    const char *image = (const char *)x + pixel / g->out_width / g->out_height * g->height * g->width * bytes;
    for (int64_t i = 0; i < g->kernel_height; i++) {
        const int64_t y = row * g->stride_height - g->padding_height + i * g->dilation_height;
        for (int64_t j = 0; j < g->kernel_width; j++) {
            const int64_t z = column * g->stride_width - g->padding_width + j * g->dilation_width;
            const int inside = y >= 0 && y < g->height && z >= 0 && z < g->width;
            *pixels++ = inside ? image + (y * g->width + z) * bytes : outside;
        }
    }
}

int64_t packed_bytes(const Panel *panel, int64_t outputs, int64_t taps, int element_bytes) {
    return round_up(outputs, panel->lanes) * round_up(taps * element_bytes, panel->step_bytes);
}

/* Outputs and taps beyond the end are zero, like the end of a gathered window. */
void pack_panels(const Panel *panel, const void *weights, int64_t outputs, int64_t taps, int element_bytes, void *packed) {
    const int64_t bytes = taps * element_bytes, unit = panel->step_bytes, steps = round_up(bytes, unit) / unit;
    const int64_t width = (int64_t)panel->vectors * panel->lanes, whole = bytes / unit;
    memset(packed, 0, (size_t)packed_bytes(panel, outputs, taps, element_bytes));
    for (int64_t first = 0; first < outputs; first += width) {
        const int64_t columns = smaller(width, round_up(outputs - first, panel->lanes));
        char *to = (char *)packed + first * steps * unit;
        for (int64_t column = 0; column < smaller(columns, outputs - first); column++) {
            const char *from = (const char *)weights + (first + column) * bytes;
            for (int64_t step = 0; step < whole; step++) {
                memcpy(to + (step * columns + column) * unit, from + step * unit, (size_t)unit);
            }
            memcpy(to + (whole * columns + column) * unit, from + whole * unit, (size_t)(bytes - whole * unit));
        }
    }
}

/* (outputs, taps) -> (taps, outputs) */
void transpose_f32(const float *from, int64_t outputs, int64_t taps, float *to) {
    for (int64_t o = 0; o < outputs; o++) {
        for (int64_t k = 0; k < taps; k++) to[k * outputs + o] = from[o * taps + k];
    }
}
