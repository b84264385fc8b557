/* Window layers on codes, exact to the bit for any number of threads and any instruction set: what does not depend on the codes is
   found out once, in window_new(), and window_run() may then run it in any number of threads at a time. */
#include "window.h"

#include <stdlib.h>

int window_bounds(const Kernels *kernels, Arithmetic arithmetic, Type type, const void *weights, int64_t outputs, int64_t taps, int64_t x_low,
                  int64_t x_high, int64_t *low, int64_t *high) {
    int32_t *row = allocate(taps, sizeof(*row));
    if (!row) return -1;
    for (int64_t o = 0; o < outputs; o++) {
        kernels->widen(type, (const char *)weights + o * taps * bytes_of(type), taps, row);
        kernels->loops[arithmetic].bounds(row, taps, (int32_t)x_low, (int32_t)x_high, low + o, high + o);
    }
    free(row);
    return 0;
}

/* The largest magnitude of a weight less its zero point. */
static int64_t largest_weight(const Window *w, int64_t low, int64_t high) {
    int64_t least = 0, most = 0; /* of the zero points */
    for (int64_t o = 0; w->zeros.weights && o < w->g->outputs; o++) {
        least = smaller(least, w->zeros.weights[o]), most = larger(most, w->zeros.weights[o]);
    }
    return larger(most - low, high - least);
}

/* The same layer on sign bits: an image of bytes, each of which holds eight operands. */
static int prepare_signs(Window *w, int threads) {
    const Geometry *g = w->g;
    const int64_t bytes = sign_bytes(g), channels = g->channels / g->groups;
    const int64_t windows = g->outputs * g->kernel_height * g->kernel_width;
    uint8_t *weights = w->sign_weights = allocate(windows, bytes);
    if (!weights) return -1;
    pack_signs(w->weights_type, w->weights, windows, channels, bytes, weights, threads);
    w->sign_channels = channels;
    w->codes_type = w->x_type;
    w->layer.channels = g->groups * bytes;
    w->x_type = w->weights_type = U8;
    w->weights = weights;
    w->taps = taps_of(g);
    return prepare_panels(w, threads);
}

/* The sign bits of x, or NULL where memory ran out. */
static void *signs_of_codes(const Window *w, const void *x, int threads) {
    const Geometry *g = w->g;
    const int64_t bytes = g->channels / g->groups, pixels = g->images * g->height * g->width * g->groups;
    uint8_t *signs = allocate(pixels, bytes);
    if (signs) pack_signs(w->codes_type, x, pixels, w->sign_channels, bytes, signs, threads);
    return signs;
}

static int prepare(Window *w, int64_t weights_high, int threads) {
    if (w->epilogue.ordered && !is_depthwise(w->g) && prepare_ordered(w)) return -1;
    if (results_wait(w)) {
        Layout size = {0};
        lay_rescale(&size, w->epilogue.rescale, w->g->outputs);
        w->rescale_memory = allocate(1, size.bytes);
        if (!w->rescale_memory) return -1;
        w->rescale = lay_rescale(&(Layout){w->rescale_memory, 0}, w->epilogue.rescale, w->g->outputs);
    }
    const int status = takes_quads(w)                 ? prepare_quads(w, threads)
                       : is_depthwise(w->g)           ? prepare_depthwise(w, threads)
                       : !choose_panel(w, weights_high) ? prepare_loops(w, threads)
                       : w->arithmetic == XNOR        ? prepare_signs(w, threads)
                                                      : prepare_panels(w, threads);
    w->tiling.result_bytes = results_wait(w) ? w->g->outputs * w->epilogue.y_bytes : 0;
    return status;
}

/* What an epilogue points to, as the window's own; its arrays stay the caller's. */
static void own_epilogue(Window *w) {
    Epilogue *f = &w->epilogue;
    if (f->affine) w->affine = *f->affine, f->affine = &w->affine;
    if (f->rescale) w->rescaling = *f->rescale, f->rescale = &w->rescaling;
    f->constants = w->constants;
    f->window_factors = NULL;
    f->floats = NULL;
    f->factor = 1;
    f->outputs = w->g->outputs;
    if (f->rescale && !results_wait(w)) f->y_bytes = bytes_of(f->rescale->codes.type);
}

Window *window_new(const Kernels *kernels, Arithmetic arithmetic, const int32_t *products, const Geometry *g, Type x_type,
                   int64_t x_low, int64_t x_high, Type weights_type, const void *weights, const ZeroPoints *zeros,
                   const Epilogue *epilogue, int threads) {
    static const Fast none = {0};
    Window *w = allocate(1, sizeof(*w));
    if (!w) return NULL;
    *w = (Window){.kernels = kernels, .loops = products ? &kernels->table : kernels->loops + arithmetic,
                  .fast = products ? &none : kernels->fast + arithmetic, .layer = *g, .arithmetic = arithmetic, .products = products,
                  .x_type = x_type, .weights_type = weights_type, .weights = weights, .x_low = x_low, .x_high = x_high, .zeros = *zeros,
                  .epilogue = *epilogue, .taps = taps_of(g), .outputs = g->outputs / g->groups};
    w->g = &w->layer;
    int64_t low, high;
    kernels->extremes(weights_type, weights, g->outputs * w->taps, &low, &high);
    const int64_t product = larger(zeros->x - x_low, x_high - zeros->x) * largest_weight(w, low, high);
    w->ordered_narrow = epilogue->low >= INT32_MIN && epilogue->high <= INT32_MAX && epilogue->high + 1 + product < INT32_MAX;
    w->constants = allocate(g->outputs, 2 * sizeof(*w->constants));
    w->window_factors = w->constants + g->outputs;
    own_epilogue(w);
    if (w->constants && prepare(w, high, use_threads(threads, work_of(g) / 64)) == 0) {
        Layout size = {0};
        Scratch scratch;
        lay_scratch(w, &size, &scratch);
        w->scratch_bytes = size.bytes;
        return w;
    }
    window_free(w);
    return NULL;
}

void window_free(Window *w) {
    if (!w) return;
    tiling_end(&w->tiling);
    free_ordered(w);
    free(w->constants);
    free(w->rescale_memory);
    free(w->float_memory);
    free(w->sign_weights);
    free(w->packed);
    free(w->tap_offsets);
    free(w->rows);
    free(w->planes);
    free(w);
}

int64_t window_scratch(const Window *w) { return w->scratch_bytes; }

/* Scratch of a thread. */
void lay_scratch(const Window *w, Layout *layout, Scratch *s) {
    *s = (Scratch){0};
    tile_lay_out(&w->tiling, layout, &s->tile);
    lay_seen(w, layout, &s->seen);
    w->lay_out(w, layout, s);
}

static void run_one_tile(const Window *w, int64_t number, Scratch *s, Stats *stats) {
    w->run_tile(w, number, s, stats);
    finish_tile(w, &s->tile, stats + 1);
}

/* All tiles in this thread. */
static void run_alone(const Window *w, char *memory, Stats *stats) {
    Scratch scratch;
    lay_scratch(w, &(Layout){memory, 0}, &scratch);
    for (int64_t number = 0; number < w->tiling.tiles; number++) run_one_tile(w, number, &scratch, stats);
    merge_seen(w, &scratch.seen, stats);
}

static void run_together(const Window *w, char *memory, Stats *stats) {
    Scratch scratch;
#pragma omp parallel num_threads(w->tiling.threads) private(scratch)
    {
        Stats own[2] = {no_stats(), no_stats()};
        lay_scratch(w, &(Layout){memory + thread_number() * w->scratch_bytes, 0}, &scratch);
#pragma omp for schedule(dynamic)
        for (int64_t number = 0; number < w->tiling.tiles; number++) run_one_tile(w, number, &scratch, own);
        merge_seen(w, &scratch.seen, own);
#pragma omp critical(addersim_stats)
        {
            merge_stats(stats, own);
            merge_stats(stats + 1, own + 1);
        }
    }
}

int window_run(const Window *plan, int64_t images, const void *x, void *y, int threads, char *memory, Stats *stats) {
    Window w = *plan; /* others may run it at the same time, on other images */
    Geometry g = plan->layer, tiled = *plan->tiling.g;
    g.images = tiled.images = images;
    w.g = &g, w.x = x, w.y = y;
    threads = use_threads(threads, work_of(&g) / 64);
    tiling_resize(&w.tiling, &tiled, threads);
    threads = w.tiling.threads;
    void *signs = w.sign_weights ? signs_of_codes(&w, x, threads) : NULL;
    char *own = memory && threads == 1 ? NULL : allocate(threads, w.scratch_bytes);
    const int ready = (own || (memory && threads == 1)) && (signs || !w.sign_weights);
    if (signs) w.x = signs;
    if (ready && threads == 1) {
        run_alone(&w, own ? own : memory, stats);
    } else if (ready) {
        run_together(&w, own, stats);
    }
    free(own);
    free(signs);
    return ready ? 0 : -1;
}
