#include "tiles.h"

#include <stdlib.h>
#include <string.h>

/* Scratch on cache lines; the size is rounded up, as aligned_alloc demands. NULL for more than an address can reach. */
void *allocate(int64_t count, int64_t size) {
    const int64_t bytes = round_up(larger(times(count, size), 1), 64);
#ifdef _WIN32 /* its libraries have no aligned_alloc that free() takes back, whatever the compiler; scratch may lie anywhere */
    return bytes > PTRDIFF_MAX - 64 ? NULL : malloc((size_t)bytes);
#else
    return bytes > PTRDIFF_MAX - 64 ? NULL : aligned_alloc(64, (size_t)bytes);
#endif
}

/* About what fits the second-level cache beside a panel of weights. */
#define TILE_BYTES (96 * 1024)
#define LARGE_TILE_BYTES (4 * TILE_BYTES)
#define TILE_WINDOWS 256

static int64_t reach(int64_t count, int64_t stride, int64_t kernel, int64_t dilation) {
    return plus(times(count - 1, stride), plus(times(kernel - 1, dilation), 1));
}

/* Rows to copy under `rows` output rows: each image among them starts anew. */
static int64_t copied_rows(const Geometry *g, int64_t rows) {
    const int64_t images = smaller(rows, (rows + g->out_height - 2) / g->out_height + 1);
    return plus(times(rows, g->stride_height), times(images, reach(1, 1, g->kernel_height, g->dilation_height)));
}

/* Bytes of one copied row under `columns` outputs. */
static int64_t copied_bytes(const Geometry *g, int64_t columns, int64_t channel_bytes) {
    return times(reach(columns, g->stride_width, g->kernel_width, g->dilation_width), channel_bytes);
}

/* Tiles that there should be at least: several for each of some threads, so that none waits long for another. */
static int64_t parts_of(int threads) { return threads > 1 ? 4 * (int64_t)threads : 1; }

/* Returns whether the copied rows fit the cache, or at least take no more than the windows would one by one. */
static int plan_direct(Tiling *t, int64_t element, int threads) {
    const Geometry *g = t->g;
    const int64_t channel_bytes = times(g->channels, element);
    int64_t columns = g->out_width;
    while (columns > 16 && times(copied_bytes(g, columns, channel_bytes), copied_rows(g, 1)) > LARGE_TILE_BYTES) {
        columns = (columns + 1) / 2;
    }
    t->columns = columns;
    t->pieces = (g->out_width + columns - 1) / columns;
    t->row_bytes = copied_bytes(g, columns, channel_bytes);
    const int64_t share = larger(1, g->images * g->out_height / parts_of(threads));
    t->rows = 1;
    if (t->pieces == 1) {
        while (t->rows < share && (t->rows + 1) * columns <= TILE_WINDOWS && times(copied_rows(g, t->rows + 1), t->row_bytes) <= TILE_BYTES) {
            t->rows++;
        }
    }
    t->windows = t->rows * columns;
    t->bytes = times(copied_rows(g, t->rows), t->row_bytes);
    if (t->bytes > larger(LARGE_TILE_BYTES, times(t->windows, times(taps_of(g), element)))) return 0;
    t->pixels = t->bytes / channel_bytes;
    for (int64_t run = 0; run < t->runs; run++) {
        const int64_t columns_a_row = t->runs / g->kernel_height; /* one where a kernel row is one run */
        t->pixels_to[run] = run / columns_a_row * g->dilation_height * (t->row_bytes / channel_bytes) +
                            run % columns_a_row * g->dilation_width;
        t->offsets[run] = t->pixels_to[run] * channel_bytes;
    }
    return 1;
}

static void plan_gathered(Tiling *t, int64_t element, int64_t unit, int threads) {
    const Geometry *g = t->g;
    const int64_t taps = taps_of(g), share = round_up(larger(1, pixels_of(g) / parts_of(threads)), unit);
    t->runs = 1;
    t->run_taps = taps;
    t->run_steps = round_up(taps * element, t->step_bytes) / t->step_bytes;
    t->window_bytes = round_up(t->run_steps * t->step_bytes, 32);
    t->windows = smaller(share, larger(unit, smaller(TILE_WINDOWS, TILE_BYTES / t->window_bytes) / unit * unit));
    t->columns = t->windows;
    t->bytes = times(t->windows, t->window_bytes);
    t->raw_bytes = t->type != F32 && bytes_of(t->type) < element ? t->bytes / element : 0;
    t->offsets[0] = 0;
}

int are_pixels(const Geometry *g, Type type, int64_t step_bytes) {
    return type <= U8 && step_bytes > 1 && g->channels % step_bytes == 0 && g->groups == 1 && g->kernel_height == 1 && g->kernel_width == 1 &&
           g->stride_height == 1 && g->stride_width == 1 && g->out_height == g->height && g->out_width == g->width && !g->padding_height &&
           !g->padding_width;
}

int tiling_begin(Tiling *t, const Geometry *g, const Kernels *kernels, Type type, Type operand, int64_t offset, int64_t outside,
                 int64_t step_bytes, int any_run, int64_t unit, int threads) {
    *t = (Tiling){.g = g, .kernels = kernels, .type = type, .operand = operand, .offset = offset, .outside = outside,
                  .step_bytes = step_bytes};
    const int64_t element = bytes_of(operand), group_bytes = g->channels / g->groups * element;
    const int merged = g->groups == 1 && g->dilation_width == 1;
    const int64_t run_bytes = merged ? g->kernel_width * group_bytes : group_bytes;
    const int one = g->kernel_height == 1 && g->kernel_width == 1 && (g->stride_height > 1 || g->stride_width > 1);
    t->runs = merged ? g->kernel_height : g->kernel_height * g->kernel_width;
    t->run_steps = round_up(run_bytes, step_bytes) / step_bytes;
    t->run_taps = taps_of(g) / t->runs;
    t->offsets = allocate(t->runs, 2 * sizeof(*t->offsets));
    if (!t->offsets) return -1;
    t->pixels_to = t->offsets + t->runs;
    t->direct = (run_bytes % step_bytes == 0 || any_run) && !one && plan_direct(t, element, threads);
    if (!t->direct) plan_gathered(t, element, unit, threads);
    t->in_place = t->direct && type == operand && !offset && are_pixels(g, type, step_bytes); /* which reads nothing beyond the last */
    if (t->in_place) t->bytes = 0;
    t->windows = round_up(t->windows, unit);
    tiling_resize(t, g, threads);
    return 0;
}

void tiling_resize(Tiling *t, const Geometry *g, int threads) {
    const int64_t rows = g->images * g->out_height;
    t->g = g;
    t->tiles = t->direct ? (rows + t->rows - 1) / t->rows * t->pieces : (pixels_of(g) + t->columns - 1) / t->columns;
    t->threads = (int)smaller(threads, t->tiles);
}

void tiling_end(Tiling *t) {
    free(t->offsets);
    t->offsets = NULL;
}

int depthwise_begin(Tiling *t, Geometry *all_channels, const Geometry *g, const Kernels *kernels, Type type, Type operand,
                    int64_t offset, int64_t outside, int threads, int64_t *tap_offsets) {
    const int element = bytes_of(operand);
    *all_channels = *g;
    all_channels->groups = 1;
    if (tiling_begin(t, all_channels, kernels, type, operand, offset, outside, element, 0, 1, threads)) return -1;
    const int64_t taps = g->kernel_height * g->kernel_width, a_run = taps / t->runs;
    for (int64_t tap = 0; tap < taps; tap++) tap_offsets[tap] = t->offsets[tap / a_run] + tap % a_run * g->channels * element;
    return 0;
}

void tile_lay_out(const Tiling *t, Layout *layout, Tile *tile) {
    tile->operands = lay_part(layout, plus(t->bytes, SLACK_BYTES), 1);
    tile->raw = lay_part(layout, plus(t->raw_bytes, SLACK_BYTES), 1);
    tile->results = lay_part(layout, plus(times(t->windows, t->result_bytes), t->result_bytes ? SLACK_BYTES : 0), 1);
    tile->windows = lay_part(layout, t->windows, sizeof(*tile->windows));
    tile->sums = lay_part(layout, t->windows, sizeof(*tile->sums));
    tile->pixel_sums = lay_part(layout, t->direct ? t->pixels : 0, sizeof(*tile->pixel_sums));
    tile->corners = lay_part(layout, t->direct ? t->windows : 0, sizeof(*tile->corners));
    tile->laid_row = tile->laid_rows = tile->laid_columns = 0;
}

static void fill(const Tiling *t, char *to, int64_t elements) {
    const int64_t operand = t->outside - t->offset;
    if (t->operand == S16 && operand) {
        for (int64_t i = 0; i < elements; i++) ((int16_t *)to)[i] = (int16_t)operand;
    } else {
        memset(to, t->operand <= U8 ? (int)operand : 0, (size_t)(elements * bytes_of(t->operand)));
    }
}

static void load(const Tiling *t, const char *from, int64_t elements, char *to) {
    if (t->type == t->operand && !t->offset) {
        memcpy(to, from, (size_t)(elements * bytes_of(t->type)));
    } else {
        t->kernels->load_operands(t->type, from, elements, t->offset, t->operand, to);
    }
}

/* Copies the part of one image under outputs rows x columns; pixels outside are the operand of their code. */
static char *copy_rows(const Tiling *t, const char *image, int64_t row, int64_t rows, int64_t column, char *to) {
    const Geometry *g = t->g;
    const int64_t from_bytes = g->channels * bytes_of(t->type), to_bytes = g->channels * bytes_of(t->operand);
    const int64_t left = column * g->stride_width - g->padding_width, width = t->row_bytes / to_bytes;
    const int64_t first = clip(-left, 0, width), end = larger(first, clip(g->width - left, 0, width));
    const int64_t top = row * g->stride_height - g->padding_height;
    const int64_t height = reach(rows, g->stride_height, g->kernel_height, g->dilation_height);
    for (int64_t y = top; y < top + height; y++, to += t->row_bytes) {
        if (y < 0 || y >= g->height) {
            fill(t, to, width * g->channels);
        } else {
            fill(t, to, first * g->channels);
            load(t, image + (y * g->width + left + first) * from_bytes, (end - first) * g->channels, to + first * to_bytes);
            fill(t, to + end * to_bytes, (width - end) * g->channels);
        }
    }
    return to;
}

/* Where the windows of `rows` output rows from row `at` of an image on start among the copied rows. */
static void place_windows(const Tiling *t, const char *operands, int64_t at, int64_t rows, int64_t columns, Tile *tile) {
    const Geometry *g = t->g;
    const int64_t pixel_bytes = g->channels * bytes_of(t->operand), row_pixels = t->row_bytes / pixel_bytes;
    const int64_t step = g->stride_width * pixel_bytes;
    int64_t *restrict corners = tile->corners;
    const char **restrict windows = tile->windows;
    for (int64_t corner = 0; rows > 0; at = 0) {
        const int64_t here = smaller(rows, g->out_height - at);
        for (int64_t i = 0; i < here; i++, corners += columns, windows += columns) {
            const int64_t left = corner + i * g->stride_height * row_pixels;
            const char *first = operands + left * pixel_bytes;
            for (int64_t j = 0; j < columns; j++) corners[j] = left + j * g->stride_width, windows[j] = first + j * step;
        }
        corner += reach(here, g->stride_height, g->kernel_height, g->dilation_height) * row_pixels;
        rows -= here;
    }
}

static void load_rows(const Tiling *t, const char *x, int64_t number, Tile *tile) {
    const Geometry *g = t->g;
    const int64_t column = number % t->pieces * t->columns, columns = smaller(t->columns, g->out_width - column);
    const int64_t image_bytes = g->height * g->width * g->channels * bytes_of(t->type), end = g->images * g->out_height;
    const int64_t first = number / t->pieces * t->rows, rows = smaller(t->rows, end - first), at = first % g->out_height;
    const char *operands = t->in_place ? x + (first * g->out_width + column) * g->channels : tile->operands;
    char *to = tile->operands;
    for (int64_t done = 0; done < rows && !t->in_place;) {
        const int64_t row = first + done, here = smaller(rows - done, g->out_height - row % g->out_height);
        to = copy_rows(t, x + row / g->out_height * image_bytes, row % g->out_height, here, column, to);
        done += here;
    }
    tile->first = first * g->out_width + column;
    tile->count = rows * columns;
    tile->pixels = t->in_place ? tile->count : (to - tile->operands) / (g->channels * bytes_of(t->operand));
    const int in_one_image = larger(at, tile->laid_row) + rows <= g->out_height;
    const int laid = !t->in_place && tile->laid_rows == rows && tile->laid_columns == columns && (tile->laid_row == at || in_one_image);
    if (!laid || g->groups > 1) { /* groups move the pointers on */
        place_windows(t, operands, at, rows, columns, tile);
        tile->laid_row = at, tile->laid_rows = rows, tile->laid_columns = columns;
    }
}

/* memcpy for short runs of unknown length: overlapping moves instead of a call. */
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

/* One kernel row of one window. */
static inline void gather_row(const Geometry *g, const char *image_row, int outside, int64_t left, int64_t tap_bytes,
                              int64_t pixel_bytes, char *to) {
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
            memset(to, outside, (size_t)tap_bytes);
        }
    }
}

/* A window's rows of at most 16 bytes, each moved as 16: what is too much is overwritten next, or cleared at the end. */
static inline void gather_short_rows(const Geometry *g, const char *pixels, int outside, int64_t top, int64_t pixel_bytes,
                                     int64_t row_bytes, char *to) {
    for (int64_t i = 0; i < g->kernel_height; i++, to += row_bytes, top += g->dilation_height) {
        if (top < 0 || top >= g->height) {
            memset(to, outside, 16);
        } else {
            memcpy(to, pixels + top * g->width * pixel_bytes, 16);
        }
    }
}

void gather_windows(const Geometry *g, const void *x, int element_bytes, int outside, int64_t group, int64_t first, int64_t count,
                    void *windows, int64_t window_stride) {
    const int64_t pixel_bytes = g->channels * element_bytes, tap_bytes = pixel_bytes / g->groups;
    const int64_t row_bytes = g->kernel_width * tap_bytes, used = g->kernel_height * row_bytes;
    const int64_t image_bytes = g->height * g->width * pixel_bytes, all_bytes = g->images * image_bytes;
    const int short_rows = row_bytes <= 16 && g->dilation_width == 1 && g->groups == 1;
    int64_t column = first % g->out_width, row = first / g->out_width % g->out_height;
    int64_t image = first / g->out_width / g->out_height;
    char *to = windows;
    for (int64_t i = 0; i < count; i++, to += window_stride) {
        const char *pixels = (const char *)x + image * image_bytes + group * tap_bytes;
        const int64_t left = column * g->stride_width - g->padding_width, top = row * g->stride_height - g->padding_height;
        /* a row of 16 bytes may run into the next image, not beyond the last one */
        const int64_t last = smaller(g->height - 1, top + (g->kernel_height - 1) * g->dilation_height);
        const int64_t end = image * image_bytes + (last * g->width + left) * pixel_bytes + 16;
        if (short_rows && left >= 0 && left + g->kernel_width <= g->width && end <= all_bytes) {
            gather_short_rows(g, pixels + left * pixel_bytes, outside, top, pixel_bytes, row_bytes, to);
        } else {
            for (int64_t kernel_row = 0; kernel_row < g->kernel_height; kernel_row++) {
                const int64_t y = top + kernel_row * g->dilation_height;
                if (y < 0 || y >= g->height) {
                    memset(to + kernel_row * row_bytes, outside, (size_t)row_bytes);
                } else {
                    gather_row(g, pixels + y * g->width * pixel_bytes, outside, left, tap_bytes, pixel_bytes,
                               to + kernel_row * row_bytes);
                }
            }
        }
        if (used < window_stride) memset(to + used, 0, 16);
        for (int64_t byte = used + 16; byte < window_stride; byte++) to[byte] = 0;
        if (++column == g->out_width) {
            column = 0;
            if (++row == g->out_height) {
                row = 0;
                image++;
            }
        }
    }
}

/* All windows of a tile are converted at once; what lies beyond their taps meets weights that make it count for nothing. */
static void load_windows(const Tiling *t, const void *x, int64_t group, int64_t number, Tile *tile) {
    const int64_t elements = t->window_bytes / bytes_of(t->operand);
    tile->first = number * t->columns;
    tile->count = smaller(t->columns, pixels_of(t->g) - tile->first);
    char *gathered = t->raw_bytes ? tile->raw : tile->operands;
    gather_windows(t->g, x, bytes_of(t->type), (int)t->outside, group, tile->first, tile->count, gathered, elements * bytes_of(t->type));
    if (t->type != t->operand || t->offset) {
        t->kernels->load_operands(t->type, gathered, tile->count * elements, t->offset, t->operand, tile->operands);
    }
    for (int64_t i = 0; i < tile->count; i++) tile->windows[i] = tile->operands + i * t->window_bytes;
}

/* Sums of the operands of each window; of copied rows first of each pixel, then of each run from a pixel on. */
static void sum_windows(const Tiling *t, Tile *tile) {
    const Geometry *g = t->g;
    if (!t->direct) {
        for (int64_t i = 0; i < tile->count; i++) {
            t->kernels->sum_operands(t->operand, tile->windows[i], 1, 0, taps_of(g), tile->sums + i);
        }
        return;
    }
    const int64_t channels = g->channels / g->groups;
    const int64_t a_run = t->run_taps / channels;
    int64_t *sums = tile->pixel_sums;
    t->kernels->sum_operands(t->operand, tile->windows[0], tile->pixels, g->channels, channels, sums);
    for (int64_t i = 0; a_run > 1 && i + a_run <= tile->pixels; i++) {
        for (int64_t next = 1; next < a_run; next++) sums[i] += sums[i + next];
    }
    for (int64_t i = 0; i < tile->count; i++) {
        int64_t sum = 0;
        for (int64_t run = 0; run < t->runs; run++) sum += sums[tile->corners[i] + t->pixels_to[run]];
        tile->sums[i] = sum;
    }
}

void tile_load(const Tiling *t, const void *x, int64_t group, int64_t number, int want_sums, Tile *tile) {
    if (!t->direct) {
        load_windows(t, x, group, number, tile);
    } else if (group == 0) {
        load_rows(t, x, number, tile);
    } else { /* the rows are there, with all channels */
        const int64_t group_bytes = t->g->channels / t->g->groups * bytes_of(t->operand);
        for (int64_t i = 0; i < tile->count; i++) tile->windows[i] += group_bytes;
    }
    if (want_sums) sum_windows(t, tile);
    for (int64_t i = tile->count; i < t->windows; i++) tile->windows[i] = tile->windows[0];
}

int64_t count_pieces(const Tiling *t, int64_t chunk) {
    int64_t count = 0;
    Piece p = first_piece(t, chunk);
    do {
        count++;
    } while (next_piece(t, chunk, &p));
    return count;
}

void run_panel(const Panel *panel, const Tiling *t, const char *const *windows, int64_t count, const char *packed, int64_t columns,
               int64_t chunk, void *sums, int64_t sums_stride) {
    const int64_t blocks = round_up(count, panel->rows) / panel->rows, step_bytes = columns * panel->step_bytes;
    int accumulate = 0;
    Piece p = first_piece(t, chunk);
    do {
        panel->run(windows, blocks, t->offsets + p.run, p.runs, p.step * panel->step_bytes, p.steps,
                   packed + (p.run * t->run_steps + p.step) * step_bytes, (int)(columns / panel->lanes), sums, sums_stride, accumulate);
        accumulate = 1;
    } while (next_piece(t, chunk, &p));
}

int64_t window_pixels(const Geometry *g, const void *x, int element_bytes, int64_t pixel, const void **pixels) {
    const int64_t column = pixel % g->out_width, row = pixel / g->out_width % g->out_height, bytes = g->channels * element_bytes;
    const char *image = (const char *)x + pixel / g->out_width / g->out_height * g->height * g->width * bytes;
    int64_t found = 0;
    for (int64_t i = 0; i < g->kernel_height; i++) {
        const int64_t y = row * g->stride_height - g->padding_height + i * g->dilation_height;
        if (y < 0 || y >= g->height) continue;
        for (int64_t j = 0; j < g->kernel_width; j++) {
            const int64_t z = column * g->stride_width - g->padding_width + j * g->dilation_width;
            if (z >= 0 && z < g->width) pixels[found++] = image + (y * g->width + z) * bytes;
        }
    }
    return found;
}

int64_t packed_bytes(const Panel *panel, int64_t outputs, int64_t taps, int element_bytes) {
    return times(round_up(outputs, panel->lanes), round_up(times(taps, element_bytes), panel->step_bytes));
}

void pack_panels(const Panel *panel, const void *weights, int64_t outputs, int64_t taps, int element_bytes, int rest, void *packed) {
    const int64_t bytes = taps * element_bytes, unit = panel->step_bytes, steps = round_up(bytes, unit) / unit;
    const int64_t width = (int64_t)panel->vectors * panel->lanes, whole = bytes / unit;
    if (outputs % panel->lanes || bytes % unit) memset(packed, rest, (size_t)packed_bytes(panel, outputs, taps, element_bytes));
    for (int64_t first = 0; first < outputs; first += width) {
        const int64_t columns = smaller(width, round_up(outputs - first, panel->lanes));
        char *to = (char *)packed + first * steps * unit;
        for (int64_t column = 0; column < smaller(columns, outputs - first); column++) {
            const char *from = (const char *)weights + (first + column) * bytes;
            char *next = to + column * unit;
            if (unit == 8) {
                for (int64_t step = 0; step < whole; step++, next += columns * 8) memcpy(next, from + step * 8, 8);
            } else {
                for (int64_t step = 0; step < whole; step++, next += columns * 4) memcpy(next, from + step * 4, 4);
            }
            memcpy(next, from + whole * unit, (size_t)(bytes - whole * unit));
        }
    }
}

/* (outputs, taps) -> (taps, outputs) */
void transpose_f32(const float *from, int64_t outputs, int64_t taps, float *to) {
    for (int64_t o = 0; o < outputs; o++) {
        for (int64_t k = 0; k < taps; k++) to[k * outputs + o] = from[o * taps + k];
    }
}
