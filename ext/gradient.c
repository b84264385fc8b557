/* The two gradients of an l1 window layer that are not matrix products. Threads split the results, never a sum. */
#include "tiles.h"

#include <stdlib.h>
#include <string.h>

/* Along one axis, the taps that reach the pixels first, first + stride, ..: by falling number they read rising outputs, `dilation`
   apart, those of the first pixel from -padding on. */
typedef struct {
    int64_t pixels, taps, tap, tap_step, padding, dilation;
} Axis;

static Axis axis_of(int64_t size, int64_t first, int64_t stride, int64_t kernel, int64_t dilation, int64_t padding) {
    Axis a = {.pixels = (size - first + stride - 1) / stride, .dilation = 1};
    for (int64_t tap = kernel - 1; tap >= 0; tap--) {
        const int64_t scaled = first + padding - tap * dilation;
        if (scaled % stride) continue;
        if (a.taps == 0) {
            a.tap = tap;
            a.padding = -scaled / stride;
        } else if (a.taps == 1) {
            a.tap_step = a.tap - tap;
            a.dilation = a.tap_step * dilation / stride;
        }
        a.taps++;
    }
    return a;
}

typedef struct {
    const Kernels *kernels;
    const Geometry *g;
    const float *gradient, *x, *weights;
    float *out;
    int64_t channels, outputs, vectors; /* of one group; vectors hold its channels */
} Backward;

/* Pixels `stride` apart share their taps: their gradients are a window layer of stride 1 on the gradients of the outputs. */
typedef struct {
    const Backward *b;
    int64_t row, column; /* of the first pixel */
    Axis rows, columns;
    Geometry g;
    Tiling tiling;
    int64_t scratch_bytes; /* of one thread */
    float *packed;
} Phase;

/* Scratch of one thread: where the pixels of a tile's windows lie, and pixels and sums of a block that is not whole. */
typedef struct {
    Tile tile;
    int64_t *pixels;
    float *x, *out;
} Scratch;

static int64_t lay_out(const Phase *p, Layout layout, Scratch *s) {
    const int64_t rows = p->b->kernels->gradient_rows, lanes = p->b->kernels->gradient_lanes;
    tile_lay_out(&p->tiling, &layout, &s->tile);
    s->pixels = lay_part(&layout, p->tiling.windows + rows, sizeof(*s->pixels));
    s->x = lay_part(&layout, rows * lanes, sizeof(*s->x));
    s->out = lay_part(&layout, rows * lanes, sizeof(*s->out));
    return layout.bytes;
}

static int64_t vector_floats(const Phase *p) { return times(taps_of(&p->g), p->b->kernels->gradient_lanes); }

/* (outputs, kernel rows, kernel columns, channels) -> (group, channel vector, tap of the phase, output, lane), zeros beyond the channels */
static void pack_phase(const Phase *p) {
    const Geometry *g = p->b->g;
    const int64_t lanes = p->b->kernels->gradient_lanes, channels = p->b->channels, outputs = p->b->outputs;
    float *to = p->packed;
    for (int64_t i = 0; i < g->groups * p->b->vectors; i++) {
        const int64_t group = i / p->b->vectors, channel = i % p->b->vectors * lanes, width = smaller(lanes, channels - channel);
        for (int64_t tap = 0; tap < p->rows.taps * p->columns.taps; tap++) {
            const int64_t row = p->rows.tap - tap / p->columns.taps * p->rows.tap_step;
            const int64_t column = p->columns.tap - tap % p->columns.taps * p->columns.tap_step;
            for (int64_t o = group * outputs; o < (group + 1) * outputs; o++, to += lanes) {
                const int64_t at = (o * g->kernel_height + row) * g->kernel_width + column;
                memcpy(to, p->b->weights + at * channels + channel, (size_t)width * 4);
                memset(to + width, 0, (size_t)(lanes - width) * 4);
            }
        }
    }
}

/* The pixel of a window, by its row among those of all images. */
static int64_t pixel_at(const Phase *p, int64_t row, int64_t column) {
    const Geometry *g = p->b->g;
    const int64_t image = row / p->g.out_height, y = p->row + row % p->g.out_height * g->stride_height;
    return ((image * g->height + y) * g->width + p->column + column * g->stride_width) * g->channels;
}

static void find_pixels(const Phase *p, Scratch *s) {
    const int64_t width = p->g.out_width, step = p->b->g->stride_width * p->b->g->channels;
    int64_t row = s->tile.first / width, column = s->tile.first % width, i = 0;
    for (; i < s->tile.count; row++, column = 0) {
        int64_t pixel = pixel_at(p, row, column);
        for (const int64_t end = smaller(s->tile.count, i + width - column); i < end; i++, pixel += step) s->pixels[i] = pixel;
    }
    const int64_t rows = p->b->kernels->gradient_rows; /* the last block and the one that it expects next are whole */
    for (const int64_t end = round_up(i, rows) + rows; i < end; i++) s->pixels[i] = s->pixels[0];
}

/* The runs of windows first..last that read any row of the image: beyond it there are zeros. */
static void needed_runs(const Phase *p, int64_t first, int64_t last, int64_t *run, int64_t *end) {
    const Geometry *g = &p->g;
    const int64_t row = first / g->out_width, top = row % g->out_height, bottom = top + last / g->out_width - row;
    const int64_t a_row = p->tiling.runs / g->kernel_height;
    *run = 0;
    *end = p->tiling.runs;
    if (!p->tiling.direct || bottom >= g->out_height) return;
    while (*run < *end && bottom - g->padding_height + *run / a_row * g->dilation_height < 0) *run += a_row;
    while (*end > *run && top - g->padding_height + (*end / a_row - 1) * g->dilation_height >= g->height) *end -= a_row;
}

/* One vector of channels of up to gradient_rows pixels from window i of the tile on. */
static void block_gradient(const Phase *p, Scratch *s, int64_t i, int64_t channel, int64_t width, const float *packed) {
    const Backward *b = p->b;
    const int64_t rows = b->kernels->gradient_rows, lanes = b->kernels->gradient_lanes, run_taps = p->tiling.run_taps;
    const int64_t count = smaller(rows, s->tile.count - i), *pixels = s->pixels + i;
    const int whole = count == rows && width == lanes;
    const float *x[MAX_GRADIENT_ROWS];
    float *out[MAX_GRADIENT_ROWS];
    int64_t run, end;
    needed_runs(p, s->tile.first + i, s->tile.first + i + count - 1, &run, &end);
    for (int64_t row = 0; row < rows; row++) {
        PREFETCH(b->x + pixels[rows + row] + channel); /* of the next block: it lies where no hardware expects it */
        x[row] = whole ? b->x + pixels[row] + channel : s->x + row * lanes;
        out[row] = whole ? b->out + pixels[row] + channel : s->out + row * lanes;
        if (!whole && row < count) memcpy(s->x + row * lanes, b->x + pixels[row] + channel, (size_t)width * 4);
    }
    b->kernels->l1_gradient(x, s->tile.windows + i, p->tiling.offsets + run, end - run, run_taps, packed + run * run_taps * lanes, out);
    for (int64_t row = 0; row < (whole ? 0 : count); row++) memcpy(b->out + pixels[row] + channel, out[row], (size_t)width * 4);
}

static void tile_gradient(const Phase *p, int64_t number, char *memory) {
    const Backward *b = p->b;
    const int64_t lanes = b->kernels->gradient_lanes;
    Scratch s;
    lay_out(p, (Layout){memory, 0}, &s);
    for (int64_t group = 0; group < b->g->groups; group++) {
        tile_load(&p->tiling, b->gradient, group, number, 0, &s.tile);
        if (group == 0) find_pixels(p, &s);
        for (int64_t vector = 0; vector < b->vectors; vector++) {
            const float *packed = p->packed + (group * b->vectors + vector) * vector_floats(p);
            const int64_t width = smaller(lanes, b->channels - vector * lanes), channel = group * b->channels + vector * lanes;
            for (int64_t i = 0; i < s.tile.count; i += b->kernels->gradient_rows) block_gradient(p, &s, i, channel, width, packed);
        }
    }
}

static int phase_begin(Phase *p, const Backward *b, int threads) {
    const Geometry *g = b->g;
    p->b = b;
    p->g = (Geometry){g->images, g->out_height, g->out_width, g->outputs, p->rows.pixels, p->columns.pixels, g->channels, p->rows.taps,
                      p->columns.taps, 1, 1, p->rows.padding, p->columns.padding, p->rows.dilation, p->columns.dilation, g->groups};
    if (tiling_begin(&p->tiling, &p->g, b->kernels, F32, F32, 0, 0, 4, 0, b->kernels->gradient_rows, threads)) return -1;
    Scratch none;
    p->scratch_bytes = lay_out(p, (Layout){0}, &none);
    p->packed = allocate(times(g->groups * b->vectors, vector_floats(p)), sizeof(*p->packed));
    if (!p->packed) return -1;
    pack_phase(p);
    return 0;
}

/* Tile after tile of all phases, for they share cache lines. */
static int run_phases(const Phase *phases, int64_t count, int threads) {
    int64_t bytes = 0, tiles = 0;
    for (int64_t i = 0; i < count; i++) {
        bytes = larger(bytes, phases[i].scratch_bytes);
        tiles = larger(tiles, phases[i].tiling.tiles);
    }
    threads = (int)smaller(threads, tiles);
    char *memory = allocate(threads, bytes);
    if (!memory) return -1;
    memset(memory, 0, (size_t)(threads * bytes));
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int64_t number = 0; number < tiles; number++) {
        for (const Phase *p = phases; p < phases + count; p++) {
            if (number < p->tiling.tiles) tile_gradient(p, number, memory + thread_number() * bytes);
        }
    }
    free(memory);
    return 0;
}

/* Phases of pixels that taps reach. */
static int64_t find_phases(const Geometry *g, Phase *phases) {
    int64_t count = 0;
    for (int64_t row = 0; row < smaller(g->stride_height, g->height); row++) {
        const Axis rows = axis_of(g->height, row, g->stride_height, g->kernel_height, g->dilation_height, g->padding_height);
        for (int64_t column = 0; rows.taps && column < smaller(g->stride_width, g->width); column++) {
            const Axis columns = axis_of(g->width, column, g->stride_width, g->kernel_width, g->dilation_width, g->padding_width);
            if (columns.taps) phases[count++] = (Phase){.row = row, .column = column, .rows = rows, .columns = columns};
        }
    }
    return count;
}

static void zero_pixels(const Geometry *g, float *out, int threads) {
    (void)threads; /* where OpenMP is not there */
    const int64_t row = g->width * g->channels;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t i = 0; i < g->images * g->height; i++) memset(out + i * row, 0, (size_t)row * 4);
}

static int by_phases(Backward *b, int threads) {
    const Geometry *g = b->g;
    b->channels = g->channels / g->groups;
    b->outputs = g->outputs / g->groups;
    b->vectors = (b->channels + b->kernels->gradient_lanes - 1) / b->kernels->gradient_lanes;
    const int64_t rows = smaller(g->stride_height, g->height), columns = smaller(g->stride_width, g->width);
    Phase *phases = allocate(times(smaller(rows, g->kernel_height), smaller(columns, g->kernel_width)), sizeof(*phases));
    if (!phases) return -1;
    const int64_t count = find_phases(g, phases);
    int64_t begun = 0;
    int failed = 0;
    while (begun < count && !failed) failed = phase_begin(phases + begun++, b, threads);
    if (!failed) {
        if (count < rows * columns) zero_pixels(g, b->out, threads);
        if (count) failed = run_phases(phases, count, threads);
    }
    for (int64_t i = 0; i < begun; i++) {
        free(phases[i].packed);
        tiling_end(&phases[i].tiling);
    }
    free(phases);
    return failed;
}

static void depthwise_pixel(const Backward *b, const float *packed, int64_t pixel, const float **gradients, const float **weights) {
    const Geometry *g = b->g;
    const int64_t column = pixel % g->width, row = pixel / g->width % g->height, image = pixel / g->width / g->height;
    int64_t found = 0;
    for (int64_t i = 0; i < g->kernel_height; i++) {
        const int64_t y = output_of(row, g->padding_height, i, g->dilation_height, g->stride_height, g->out_height);
        for (int64_t j = 0; y >= 0 && j < g->kernel_width; j++) {
            const int64_t z = output_of(column, g->padding_width, j, g->dilation_width, g->stride_width, g->out_width);
            if (z < 0) continue;
            gradients[found] = b->gradient + ((image * g->out_height + y) * g->out_width + z) * g->outputs;
            weights[found++] = packed + (i * g->kernel_width + j) * g->channels;
        }
    }
    b->kernels->depthwise_gradient(b->x + pixel * g->channels, gradients, weights, found, g->channels, b->out + pixel * g->channels);
}

static int depthwise(const Backward *b, int threads) {
    const Geometry *g = b->g;
    const int64_t taps = taps_of(g), rows = g->images * g->height;
    threads = (int)smaller(threads, rows);
    float *packed = allocate(times(taps, g->channels), sizeof(*packed));
    const float **pointers = allocate(times(threads, 2 * taps), sizeof(*pointers));
    const int ready = packed && pointers;
    if (ready) {
        transpose_f32(b->weights, g->channels, taps, packed);
#pragma omp parallel for schedule(dynamic) num_threads(threads)
        for (int64_t row = 0; row < rows; row++) {
            const float **own = pointers + thread_number() * 2 * taps;
            for (int64_t i = row * g->width; i < (row + 1) * g->width; i++) depthwise_pixel(b, packed, i, own, own + taps);
        }
    }
    free(packed);
    free(pointers);
    return ready ? 0 : -1;
}

int l1_input_gradient_f32(const Kernels *kernels, const Geometry *g, const float *gradient, const float *x, const float *weights,
                          float *out, int threads) {
    Backward b = {.kernels = kernels, .g = g, .gradient = gradient, .x = x, .weights = weights, .out = out};
    threads = use_threads(threads, work_of(g) / 8);
    if (is_depthwise(g)) return depthwise(&b, threads);
    if (fits_planes(kernels, g)) return l1_input_gradient_by_planes(kernels, g, gradient, x, weights, out, threads);
    return by_phases(&b, threads);
}

/* Each tile of windows is gathered by all threads together; each filter belongs to one thread, which adds tile after tile. */
int l1_sign_filter_gradient_f32(const Kernels *kernels, const Geometry *g, const float *gradient, const float *x,
                                const float *weights, float *out, int threads) {
    threads = use_threads(threads, work_of(g) / 4);
    const int64_t taps = taps_of(g), outputs = g->outputs / g->groups, windows = pixels_of(g);
    /* 16 bytes between windows: threads gather neighbours, each perhaps 16 bytes too many */
    const int64_t window_bytes = round_up(taps * 4 + 16, 64), tile = larger(1, smaller(windows, 192 * 1024 / window_bytes));
    char *gathered = allocate(plus(times(tile, window_bytes), SLACK_BYTES), 1);
    if (!gathered) return -1;
    memset(out, 0, (size_t)(g->outputs * taps) * 4);
#pragma omp parallel num_threads(threads)
    for (int64_t group = 0; group < g->groups; group++) {
        for (int64_t first = 0; first < windows; first += tile) {
            const int64_t count = smaller(tile, windows - first);
#pragma omp for schedule(static)
            for (int64_t i = 0; i < count; i++) {
                gather_windows(g, x, 4, 0, group, first + i, 1, gathered + i * window_bytes, window_bytes);
            }
#pragma omp for schedule(static)
            for (int64_t o = group * outputs; o < (group + 1) * outputs; o++) {
                kernels->sign_gradient((const float *)gathered, window_bytes / 4, count, gradient + first * g->outputs + o,
                                       g->outputs, weights + o * taps, taps, out + o * taps);
            }
        }
    }
    free(gathered);
    return 0;
}
