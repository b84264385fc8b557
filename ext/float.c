/* Window layers on float32: what training and float runs need. Threads split the outputs, never a sum. */
#include "tiles.h"

#include <stdlib.h>
#include <string.h>

/* Taps summed before the partial sum joins the total: bounds the rounding error and keeps a panel in cache. */
#define TAPS_A_BLOCK 512

typedef struct {
    const Geometry *g;
    const Panel *panel;
    const Tiling *tiling;
    int64_t outputs, group_bytes, width; /* outputs of a group; width of a panel */
    const float *x;
    const char *packed;
    float *y;
    float sign;
} Forward;

static void forward_tile(const Forward *f, int64_t number, Tile *tile, float *sums) {
    const Geometry *g = f->g;
    for (int64_t group = 0; group < g->groups; group++) {
        tile_load(f->tiling, f->x, group, number, 0, tile);
        for (int64_t output = 0; output < f->outputs; output += f->width) {
            const int64_t width = smaller(f->outputs - output, f->width), columns = round_up(width, f->panel->lanes);
            const char *panel = f->packed + group * f->group_bytes + output * tiling_steps(f->tiling) * 4;
            run_panel(f->panel, f->tiling, tile, panel, columns, TAPS_A_BLOCK, sums, f->width);
            for (int64_t i = 0; i < tile->count; i++) {
                float *to = f->y + (tile->first + i) * g->outputs + group * f->outputs + output;
                for (int64_t j = 0; j < width; j++) to[j] = f->sign * sums[i * f->width + j];
            }
        }
    }
}

static int forward_depthwise(const Kernels *kernels, Lane lane, const Geometry *g, const float *x, const float *weights, float *y,
                             int threads) {
    const int64_t taps = taps_of(g), channels = g->channels;
    Geometry all_channels;
    Tiling tiling;
    int64_t *offsets = allocate(taps, sizeof(*offsets));
    float *transposed = allocate(times(taps, channels), sizeof(*transposed));
    if (!offsets || !transposed || depthwise_begin(&tiling, &all_channels, g, kernels, F32, threads, offsets)) {
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
                kernels->depthwise_f32(lane, tile.windows[i], offsets, taps, transposed, channels, y + (tile.first + i) * channels);
            }
        }
    }
    free(memory);
    free(offsets);
    free(transposed);
    tiling_end(&tiling);
    return memory ? 0 : -1;
}

int forward_f32(const Kernels *kernels, Lane lane, const Geometry *g, const float *x, const float *weights, float *y, int threads) {
    threads = use_threads(threads, work_of(g) / 16);
    if (is_depthwise(g)) return forward_depthwise(kernels, lane, g, x, weights, y, threads);
    const Panel *panel = lane == L1 ? &kernels->l1_f32 : &kernels->mac_f32;
    Tiling tiling;
    if (tiling_begin(&tiling, g, kernels, F32, F32, 0, 4, 0, panel->rows, threads)) return -1;
    Forward f = {.g = g, .panel = panel, .tiling = &tiling, .x = x, .y = y, .sign = lane == L1 ? -1.0f : 1.0f};
    const int64_t taps = taps_of(g);
    f.outputs = g->outputs / g->groups;
    f.width = (int64_t)panel->vectors * panel->lanes;
    f.group_bytes = packed_bytes(panel, f.outputs, taps, 4);
    Tile tile;
    Layout size = {0};
    tile_lay_out(&tiling, &size, &tile);
    lay_part(&size, times(tiling.windows, f.width), sizeof(float));
    char *packed = allocate(g->groups, f.group_bytes), *memory = allocate(tiling.threads, size.bytes);
    const int ready = packed && memory;
    if (ready) {
        for (int64_t group = 0; group < g->groups; group++) {
            pack_panels(panel, weights + group * f.outputs * taps, f.outputs, taps, 4, 0, packed + group * f.group_bytes);
        }
        f.packed = packed;
#pragma omp parallel for schedule(dynamic) num_threads(tiling.threads) private(tile)
        for (int64_t number = 0; number < tiling.tiles; number++) {
            Layout own = {memory + thread_number() * size.bytes, 0};
            tile_lay_out(&tiling, &own, &tile);
            forward_tile(&f, number, &tile, lay_part(&own, times(tiling.windows, f.width), sizeof(float)));
        }
    }
    free(packed);
    free(memory);
    tiling_end(&tiling);
    return ready ? 0 : -1;
}
