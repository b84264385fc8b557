/* Layers of codes whose products come from a multiplier's table, for many windows at once. */
#include "window.h"

enum { LEAST_WORK = 16 * PRODUCTS, MOST_CODES = 4 << 20 };

/* The table as its fastest kernel reads it, where sums are narrow and the work is worth it. */
int prepare_table(Window *w) {
    if (!w->products || !w->epilogue.narrow || work_of(w->g) < LEAST_WORK || times(w->tiling.windows, w->taps) > MOST_CODES) return 0;
    int64_t least = INT32_MAX, most = INT32_MIN;
    for (int i = 0; i < PRODUCTS; i++) least = smaller(least, w->products[i]), most = larger(most, w->products[i]);
    const int planes = w->kernels->table_plane_sums && most - least <= UINT16_MAX;
    w->rows = allocate(PRODUCTS, sizeof(*w->rows));
    w->planes = planes ? allocate(PRODUCTS, 2) : NULL;
    if (!w->rows || (planes && !w->planes)) return -1;
    w->least = planes ? (uint32_t)least : 0;
    for (int i = 0; i < PRODUCTS; i++) {
        const int x = i / 256, weight = i % 256;
        const uint32_t rest = (uint32_t)w->products[i] - w->least;
        w->rows[256 * weight + x] = w->products[i];
        if (!planes) continue;
        w->planes[weight * ROW_PLANES + x] = (uint8_t)rest;
        w->planes[weight * ROW_PLANES + 256 + x] = (uint8_t)(rest >> 8);
    }
    return 0;
}

/* The codes of a tile's windows tap by tap, TABLE_WINDOWS windows side by side; those beyond the last are like it. */
void turn_codes(const Window *w, const Tile *tile, uint8_t *codes) {
    const Tiling *t = &w->tiling;
    for (int64_t first = 0; first < tile->count; first += TABLE_WINDOWS) {
        const uint8_t *windows[TABLE_WINDOWS];
        for (int64_t i = 0; i < TABLE_WINDOWS; i++) windows[i] = (const uint8_t *)tile->windows[smaller(first + i, tile->count - 1)];
        for (int64_t run = 0; run < t->runs; run++) {
            for (int64_t k = 0; k < t->run_taps; k++, codes += TABLE_WINDOWS) {
                for (int i = 0; i < TABLE_WINDOWS; i++) codes[i] = windows[i][t->offsets[run] + k];
            }
        }
    }
}

/* The sums of `width` outputs for a tile's windows, from turned codes. */
void table_sums(const Window *w, const Tile *tile, const uint8_t *turned, int64_t output, int64_t width, int32_t *sums) {
    const uint32_t taps_least = (uint32_t)w->taps * w->least;
    for (int64_t first = 0; first < tile->count; first += TABLE_WINDOWS) {
        for (int64_t i = 0; i < width; i++) {
            uint32_t found[TABLE_WINDOWS];
            const uint8_t *codes = turned + first * w->taps, *weights = (const uint8_t *)w->weights + (output + i) * w->taps;
            if (w->planes) {
                w->kernels->table_plane_sums(codes, weights, w->taps, w->planes, found);
            } else {
                w->kernels->table_sums(codes, weights, w->taps, w->rows, found);
            }
            for (int64_t at = first; at < smaller(first + TABLE_WINDOWS, tile->count); at++) {
                sums[at * MAX_WIDTH + i] = (int32_t)(found[at - first] + taps_least);
            }
        }
    }
}

int takes_table(const Window *w, const Tile *tile) { return w->rows && tile->count >= TABLE_WINDOWS / 4; }
