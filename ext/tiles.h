/* Tiles of windows as the panel kernels read them: a thread's cache holds one tile, nothing holds all windows. */
#ifndef ADDERSIM_TILES_H
#define ADDERSIM_TILES_H

#include "core.h"

/* Where whole steps of operands lie side by side, the image rows under a tile are copied once (padding included) and every
   window is `runs` runs of `run_steps` steps, at the same offsets from its corner. Where weights beyond a run make
   whatever follows it count for nothing, any run will do. Elsewhere, and where strides or dilations leave much
   of the rows between the taps, windows are gathered one by one into one run, with zeros up to a whole step. */
typedef struct {
    const Geometry *g;
    const Kernels *kernels;
    Type type, operand; /* of x, and of the operands; F32 is copied */
    int64_t offset;     /* operand = code - offset */
    int64_t outside;    /* the code of pixels outside the image, 0 but for bytes */
    int64_t step_bytes;
    int direct;
    int in_place;                    /* windows are pixels of x that need no copy */
    int64_t rows, columns;           /* of outputs in a tile; several rows are whole ones */
    int64_t pieces, tiles;           /* pieces of a row, tiles of a group */
    int64_t runs, run_steps, run_taps; /* of a window; taps of a run */
    int64_t row_bytes, window_bytes; /* of the copied rows; of a gathered window */
    int64_t windows, bytes, pixels;  /* most windows of a tile, the bytes of their operands, copied pixels */
    int64_t raw_bytes;               /* scratch for codes that widen after they are gathered */
    int64_t result_bytes;            /* of a window, where results stay with the tile; set after tiling_begin() */
    int threads;                     /* as many as have a tile */
    int64_t *offsets, *pixels_to;    /* of the runs, in bytes and in pixels */
} Tiling;

/* Scratch of one thread: operands, a pointer to each window (as many more as a block of rows may read) and its sum. */
typedef struct {
    char *operands, *raw, *results;
    const char **windows;
    int64_t *sums, *pixel_sums, *corners; /* corners: first pixel of each window */
    int64_t first, count, pixels;
    int64_t laid_row, laid_rows, laid_columns; /* what the pointers of copied rows were found for */
} Tile;

/* Returns 0, or -1 where memory ran out; tiling_end() frees. `unit` is the windows that a panel kernel takes at a time. */
int tiling_begin(Tiling *t, const Geometry *g, const Kernels *kernels, Type type, Type operand, int64_t offset, int64_t outside,
                 int64_t step_bytes, int any_run, int64_t unit, int threads);
/* The same for other images of the same size, and threads. */
void tiling_resize(Tiling *t, const Geometry *g, int threads);
void tiling_end(Tiling *t);
/* Whether the windows of a layer are the pixels of x, of whole steps of a panel. */
int are_pixels(const Geometry *g, Type type, int64_t step_bytes);
static inline int64_t tiling_steps(const Tiling *t) { return t->runs * t->run_steps; }

void tile_lay_out(const Tiling *t, Layout *layout, Tile *tile);
/* One tile, group after group. */
void tile_load(const Tiling *t, const void *x, int64_t group, int64_t number, int want_sums, Tile *tile);

/* A panel kernel over the runs, in pieces of at most `chunk` steps, each of which adds to the sums. */
typedef struct {
    int64_t run, runs, step, steps;
} Piece;
static inline Piece first_piece(const Tiling *t, int64_t chunk) {
    const int64_t whole = chunk / t->run_steps;
    return (Piece){0, whole ? smaller(whole, t->runs) : 1, 0, whole ? t->run_steps : smaller(chunk, t->run_steps)};
}
static inline int next_piece(const Tiling *t, int64_t chunk, Piece *p) {
    const int64_t whole = chunk / t->run_steps;
    p->step += p->steps;
    if (p->step == t->run_steps) {
        p->run += p->runs;
        p->step = 0;
    }
    p->runs = whole ? smaller(whole, t->runs - p->run) : 1;
    p->steps = whole ? t->run_steps : smaller(chunk, t->run_steps - p->step);
    return p->run < t->runs;
}
/* A depthwise layer as tiles: all channels of each tap, whose `taps` offsets are written to tap_offsets. */
int depthwise_begin(Tiling *t, Geometry *all_channels, const Geometry *g, const Kernels *kernels, Type type, Type operand,
                    int64_t offset, int64_t outside, int threads, int64_t *tap_offsets);
int64_t count_pieces(const Tiling *t, int64_t chunk);
/* Of `count` windows, after which pointers go on to the end of a block of rows. */
void run_panel(const Panel *panel, const Tiling *t, const char *const *windows, int64_t count, const char *packed, int64_t columns, int64_t chunk, void *sums,
               int64_t sums_stride);

#endif
