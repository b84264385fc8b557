/* What the parts of a window layer on codes share: window.c (panels), loops.c (plain loops, depthwise, ordered registers). */
#ifndef ADDERSIM_WINDOW_H
#define ADDERSIM_WINDOW_H

#include "tiles.h"

/* Scratch of one thread; a layer lays out what it needs beside the tile. */
typedef struct {
    Tile tile;
    char *sums;
    int32_t *x, *doubts;
    uint8_t *codes; /* of table_sums() */
    Seen seen;
} Scratch;

struct Window {
    const Kernels *kernels;
    const Loops *loops;
    const Fast *fast;
    const Geometry *g; /* `layer`, or in a run that with its number of images */
    Geometry layer, all_channels; /* as one group: how tiles see a depthwise layer */
    void (*lay_out)(const Window *w, Layout *layout, Scratch *s);
    void (*run_tile)(const Window *w, int64_t number, Scratch *s, Stats *stats);
    int64_t scratch_bytes; /* of a thread */
    Arithmetic arithmetic;
    const int32_t *products; /* of a multiplier's table, or NULL */
    int32_t *rows;           /* the same by w, then x, where table_sums() serves, or NULL */
    uint8_t *planes;         /* of them less the smallest, where table_plane_sums() serves, or NULL */
    uint32_t least;
    Type x_type, weights_type, operand;
    const void *x, *weights; /* weights, and all that an epilogue and zero points refer to, are the caller's */
    int64_t x_low, x_high; /* codes that x can hold, that of zero included */
    ZeroPoints zeros;
    int64_t taps, outputs; /* outputs of a group */
    Epilogue epilogue;
    Affine affine;
    Rescale rescaling; /* what the epilogue points to */
    Rescale rescale; /* what makes codes of results, where the epilogue has it, laid out for rescale_run() */
    char *rescale_memory;
    Tiling tiling;
    int64_t *constants, *window_factors; /* of each output */
    void *packed; /* weights as the kernels read them */
    void *y;

    /* Of the panels (window.c): */
    const Panel *panel;
    int64_t x_offset, weights_offset; /* operand = code - offset */
    int32_t clip_low, clip_high;      /* ends to which weights are clipped */
    int any_run;                      /* weights beyond a run make what follows it count for nothing */
    int16_t beyond;                   /* operand of those weights (of 16 bits unless zero), and what each such tap adds to a sum */
    int rest;                         /* byte of a packed weight beyond the last tap of a gathered window */
    int64_t sum_factor, constant;     /* constant of an output: sum_factor * (its weights' operands) + constant + .. */
    int coded, has_signs;             /* whether sums become codes in the panel, which reads codes with signs as they are */
    int64_t padded_taps;              /* with those that fill the last step of each run */
    int64_t width, chunk, group_bytes; /* chunk: steps between widenings */
    FloatCodes floats; /* of which the epilogue may have a pointer, with memory of their own */
    Affine float_affine;
    char *float_memory;
    int turned; /* whether constants of codes lie as depthwise_quads() has sums */

    /* Of the registers that saturate at every tap (loops.c): */
    int32_t *ordered_weights; /* (group, blocks of ordered outputs, taps, BLOCK) */
    int64_t *ordered_outputs; /* their numbers, -1 where a block is not full */
    int64_t *ordered_blocks;  /* first block of each group, and the end */
    int ordered_narrow;

    /* Of depthwise layers: */
    int64_t *tap_offsets;

    /* Of sign bits, where they stand for codes (window.c): their weights, the type of the codes, and those of a pixel and group. */
    uint8_t *sign_weights;
    Type codes_type;
    int64_t sign_channels;
};

void lay_scratch(const Window *w, Layout *layout, Scratch *s);
/* panels.c: which panel, or 0 where the arithmetic has none for the layer. All that prepare return 0, or -1 where memory ran out. */
int choose_panel(Window *w, int64_t weights_high);
int prepare_panels(Window *w, int threads);

/* Whether results wait in the tile for finish_tile(), which makes codes of them. */
static inline int results_wait(const Window *w) { return w->epilogue.rescale && !w->epilogue.rescale->direct; }
/* Where the results of a tile's first window go, from an output on: to y, or to the tile. */
static inline char *tile_results(const Window *w, const Tile *tile, int64_t output) {
    char *first = results_wait(w) ? tile->results : (char *)w->y + tile->first * w->g->outputs * w->epilogue.y_bytes;
    return first + output * w->epilogue.y_bytes;
}
void finish_tile(const Window *w, const Tile *tile, Stats *codes_stats);

/* float_codes.c: whether codes come of products of floats, once the sums' factor is known; ready when their constants are: 0, or -1 where
   memory ran out. Each thread has what it saw, which is merged in the end. */
int takes_floats(const Window *w);
int prepare_floats(Window *w);
void lay_seen(const Window *w, Layout *layout, Seen *seen);
void merge_seen(const Window *w, const Seen *seen, Stats *stats);

int32_t code_at(Type type, const void *codes, int64_t i);
/* The codes of a window, tap by tap. */
void window_values(const Window *w, const char *window, int32_t *x);
/* An arithmetic without panels; one channel a group. */
int prepare_loops(Window *w, int threads);
int prepare_depthwise(Window *w, int threads);
/* quads.c: depthwise layers whose rows of bytes become codes in registers; prepare_quads() gives them to prepare_depthwise() where no
   rows are copied. */
int takes_quads(const Window *w);
int prepare_quads(Window *w, int threads);
int32_t weight_at(const Window *w, int64_t output, int64_t tap);
void plain_sums(Window *w);
int prepare_ordered(Window *w);
void free_ordered(Window *w);
/* table.c: what is faster than the loops where a multiplier's table serves a layer; 0, or -1 where memory ran out. */
int prepare_table(Window *w);
int takes_table(const Window *w, const Tile *tile);
void turn_codes(const Window *w, const Tile *tile, uint8_t *turned);
void table_sums(const Window *w, const Tile *tile, const uint8_t *turned, int64_t output, int64_t width, int32_t *sums);
/* Registers of a tile that saturate at every tap replace what epilogue() stored. */
void run_ordered(const Window *w, int64_t group, const Tile *tile, int32_t *x, Stats *stats);

#endif
