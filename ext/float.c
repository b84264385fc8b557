/* Window layers on float32: what training and float runs need. Threads split the outputs, never a sum. */
#include "tiles.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const Geometry *g;
    const Panel *panel;
    const Tiling *tiling;
    int64_t outputs, group_bytes, width; /* outputs of a group; width of a panel */
    const char *packed;
    float *y;
} Forward;

static void panels_tile(const Forward *f, int64_t group, const Tile *tile, float *sums) {
    const Geometry *g = f->g;
    const int64_t step_bytes = f->panel->step_bytes;
    for (int64_t output = 0; output < f->outputs; output += f->width) {
        const int64_t width = smaller(f->outputs - output, f->width), columns = round_up(width, f->panel->lanes);
        const char *panel = f->packed + group * f->group_bytes + output * tiling_steps(f->tiling) * step_bytes;
        float *to = f->y + tile->first * g->outputs + group * f->outputs + output;
        const int whole = width == columns && tile->count % f->panel->rows == 0; /* no sum is beyond the results */
        run_panel(f->panel, f->tiling, tile->windows, tile->count, panel, columns, FLOAT_TAPS * 4 / step_bytes, whole ? to : sums,
                  whole ? g->outputs : f->width);
        for (int64_t i = 0; i < (whole ? 0 : tile->count); i++) {
            memcpy(to + i * g->outputs, sums + i * f->width, (size_t)width * 4);
        }
    }
}

static int forward_depthwise(const Kernels *kernels, Arithmetic arithmetic, const Geometry *g, const float *x, const float *weights,
                             float *y, int threads) {
    const int64_t taps = taps_of(g), channels = g->channels;
    const Fast *fast = kernels->fast + arithmetic;
    Geometry all_channels;
    Tiling tiling;
    int64_t *offsets = allocate(taps, sizeof(*offsets));
    float *transposed = allocate(times(taps, channels), sizeof(*transposed));
    if (!offsets || !transposed || depthwise_begin(&tiling, &all_channels, g, kernels, F32, F32, 0, 0, threads, offsets)) {
        free(offsets);
        free(transposed);
        return -1;
    }
    Tile tile;
    Layout size = {0};
    tile_lay_out(&tiling, &size, &tile);
    char *memory = allocate(tiling.threads, size.bytes);
    if (memory) {
        transpose_f32(weights, channels, taps, transposed);
#pragma omp parallel for schedule(dynamic) num_threads(tiling.threads) private(tile)
        for (int64_t number = 0; number < tiling.tiles; number++) {
            tile_lay_out(&tiling, &(Layout){memory + thread_number() * size.bytes, 0}, &tile);
            tile_load(&tiling, x, 0, number, 0, &tile);
            for (int64_t i = 0; i < tile.count; i++) {
                (fast->depthwise_floats ? fast->depthwise_floats : kernels->loops[arithmetic].depthwise_floats)(
                    tile.windows[i], offsets, taps, channels, transposed, channels, y + (tile.first + i) * channels);
            }
        }
    }
    free(memory);
    free(offsets);
    free(transposed);
    tiling_end(&tiling);
    return memory ? 0 : -1;
}

/* An arithmetic without panels: BLOCK outputs at a time of each window. */
static void loops_tile(const Forward *f, const Loops *loops, int64_t group, const Tile *tile, float *row) {
    const Tiling *t = f->tiling;
    for (int64_t i = 0; i < tile->count; i++) {
        for (int64_t run = 0; run < t->runs; run++) {
            memcpy(row + run * t->run_taps, tile->windows[i] + t->offsets[run], (size_t)t->run_taps * sizeof(float));
        }
        for (int64_t output = 0; output < f->outputs; output += BLOCK) {
            float sums[BLOCK];
            loops->floats(row, (const float *)(const void *)(f->packed + group * f->group_bytes) + output * taps_of(f->g),
                          taps_of(f->g), sums);
            float *to = f->y + (tile->first + i) * f->g->outputs + group * f->outputs + output;
            for (int64_t j = 0; j < smaller(BLOCK, f->outputs - output); j++) to[j] = sums[j];
        }
    }
}

int forward_f32(const Kernels *kernels, Arithmetic arithmetic, const Geometry *g, const float *x, const float *weights, float *y,
                int paired, int threads) {
    static const Panel blocks = {.rows = 1, .vectors = 1, .lanes = BLOCK, .step_bytes = 4, .sum_bytes = 4}; /* of the plain loops */
    threads = use_threads(threads, work_of(g) / 16);
    if (is_depthwise(g)) return forward_depthwise(kernels, arithmetic, g, x, weights, y, threads);
    const Fast *fast = kernels->fast + arithmetic;
    const int pairs = paired && fast->pairs.run && g->channels / g->groups % 2 == 0; /* else windows would start between two pairs */
    const Panel *panel = pairs ? &fast->pairs : fast->floats.run ? &fast->floats : &blocks;
    Tiling tiling;
    if (tiling_begin(&tiling, g, kernels, F32, pairs ? F32_PAIRS : F32, 0, 0, panel->step_bytes, 0, panel->rows, threads)) return -1;
    Forward f = {.g = g, .panel = panel, .tiling = &tiling, .y = y};
    const int64_t taps = taps_of(g);
    f.outputs = g->outputs / g->groups;
    f.width = (int64_t)panel->vectors * panel->lanes;
    f.group_bytes = packed_bytes(panel, f.outputs, taps, 4);
    Tile tile;
    Layout size = {0};
    tile_lay_out(&tiling, &size, &tile);
    lay_part(&size, larger(times(tiling.windows, f.width), taps), sizeof(float));
    char *packed = allocate(g->groups, f.group_bytes), *memory = allocate(tiling.threads, size.bytes);
    const int ready = packed && memory;
    if (ready) {
        for (int64_t group = 0; group < g->groups; group++) {
            pack_panels(panel, weights + group * f.outputs * taps, f.outputs, taps, 4, 0, packed + group * f.group_bytes);
        }
        if (pairs) kernels->pair_weights((float *)(void *)packed, g->groups * f.group_bytes / (panel->lanes * panel->step_bytes));
        f.packed = packed;
#pragma omp parallel for schedule(dynamic) num_threads(tiling.threads) private(tile)
        for (int64_t number = 0; number < tiling.tiles; number++) {
            Layout own = {memory + thread_number() * size.bytes, 0};
            tile_lay_out(&tiling, &own, &tile);
            float *scratch = lay_part(&own, larger(times(tiling.windows, f.width), taps), sizeof(float));
            for (int64_t group = 0; group < g->groups; group++) {
                tile_load(&tiling, x, group, number, 0, &tile);
                if (panel->run) {
                    panels_tile(&f, group, &tile, scratch);
                } else {
                    loops_tile(&f, kernels->loops + arithmetic, group, &tile, scratch);
                }
            }
        }
    }
    free(packed);
    free(memory);
    tiling_end(&tiling);
    return ready ? 0 : -1;
}
