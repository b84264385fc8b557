/* Layers one after the other on few images at a time, so that what lies between them stays in a core's cache: chain.c. */
#ifndef ADDERSIM_CHAIN_H
#define ADDERSIM_CHAIN_H

#include "core.h"

/* Codes that a step of a chain reads or gives, `words` of an image; they lie in the workspace from `place` on, which is counted in bytes
   an image, or where OUTSIDE in an array of the caller's that holds all images. */
enum { OUTSIDE = -1 };
typedef struct {
    Type type;
    int64_t words, place;
    void *array;
    int64_t zero; /* the code that stands for zero */
    int counted;  /* whether zeros are counted */
} ChainValue;

typedef enum { CHAIN_WINDOW, CHAIN_ADD, CHAIN_RESCALED_ADD } ChainKind;
typedef struct {
    ChainKind kind;
    const Window *window;
    Codes codes;    /* of CHAIN_ADD */
    RescaledAdd add;
    int64_t inputs[2], output; /* numbers of values; one input of a window */
} ChainStep;

typedef struct {
    const Kernels *kernels;
    const ChainStep *steps;
    int64_t step_count, value_count;
    int64_t together;    /* images at a time */
    int64_t image_bytes; /* of the workspace, a multiple of a cache line */
} Chain;

/* Bytes that a run needs, from a cache line on: values between the layers and scratch of one of them. */
int64_t chain_bytes(const Chain *c);
/* In this thread. Statistics of each step, two a step, and zeros of each value, are added to what is there. Returns 0, or -1 where memory
   ran out. */
int chain_run(const Chain *c, const ChainValue *values, int64_t images, char *memory, Stats *stats, ZeroRuns *zeros);

#endif
