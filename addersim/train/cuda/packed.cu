// Forward pass of float16 input and filters, two taps an instruction. Differences and sums of eight taps are float16, sums of
// these float32: each of the eight passes through five roundings at most, so that a sum is wrong by less than 5 * 2^-11 of
// itself (0.25 %) and typically by far less, and differences beyond 4,094 may overflow. Groups have a multiple of eight
// channels.

constexpr int EIGHT = 8;   // taps whose sum is float16: 16 bytes of one pixel's channels
constexpr int EIGHTS = 2;  // in a step

using Sixteen = Vector<unsigned, 4>;  // bytes: eight values of float16

// Filters (groups, eights of terms, columns, 8), padded with zeros.
template <typename TILE>
__global__ void __launch_bounds__(TILE::threads, TILE::blocks)
    l1_forward_packed(const float16* x, const float16* filters, float16* y, int images, int height, int width, int channels,
                      int outputs, int groups, int out_height, int out_width, int kernel_height, int kernel_width,
                      int stride_y, int stride_x, int padding_y, int padding_x, int dilation_y, int dilation_x,
                      int filter_eights, int filter_columns) {
  constexpr int apart = TILE::threads / EIGHTS, loads = TILE::height / apart,
                filter_loads = parts(EIGHTS * TILE::width, TILE::threads);
  __shared__ Sixteen lefts[2][EIGHTS][TILE::height], rights[2][EIGHTS][TILE::width];
  const int pixels = images * out_height * out_width, tiles = parts(pixels, TILE::height), thread = threadIdx.x;
  const int group = blockIdx.x / tiles, first = blockIdx.x % tiles * TILE::height, first_column = blockIdx.y * TILE::width;
  const int terms = kernel_height * kernel_width * channels, steps = parts(terms, EIGHT * EIGHTS);
  const Windows windows = {height,     width,      channels,          channels * groups,    terms,
                           dilation_y, dilation_x, Divisor(channels), Divisor(kernel_width)};
  const float16* from = filters + ((long long)group * filter_eights * filter_columns + first_column) * EIGHT;
  int term = thread % EIGHTS * EIGHT;
  Place places[loads];
#pragma unroll
  for (int l = 0; l < loads; ++l) {
    const int pixel = first + thread / EIGHTS + l * apart, line = pixel / out_width;
    const int top = line % out_height * stride_y - padding_y, left = pixel % out_width * stride_x - padding_x;
    places[l] = place_of(windows, line / out_height, top, left, group * channels, pixel < pixels);
  }
  auto load = [&](int to) {
    const Windows::Tap tap = windows.tap(term);
#pragma unroll
    for (int l = 0; l < loads; ++l) {
      const float16* value = x + (places[l].offset + tap.offset);
      send<4>((float*)&lefts[to][thread % EIGHTS][thread / EIGHTS + l * apart], (const float*)value,
              sees(windows, places[l], tap));
    }
#pragma unroll
    for (int l = 0; l < filter_loads; ++l) {
      const int at = thread + l * TILE::threads, eight = at / TILE::width, column = at % TILE::width;
      if (EIGHTS * TILE::width % TILE::threads == 0 || eight < EIGHTS)
        send<4>((float*)&rights[to][eight][column], (const float*)(from + (eight * filter_columns + column) * EIGHT), true);
    }
    term += EIGHT * EIGHTS;
    from += EIGHTS * EIGHT * filter_columns;
  };
  float sum[TILE::rows][TILE::columns] = {};
  load(0);
  wait_for_sent();
  __syncthreads();
  int held = 0;
  for (int step = 1; step <= steps; ++step) {
    if (step < steps) load(held ^ 1);
#pragma unroll
    for (int k = 0; k < EIGHTS; ++k) {
      Sixteen a[TILE::rows];
#pragma unroll
      for (int i = 0; i < TILE::rows; ++i)
        a[i] = lefts[held][k][i * TILE::down + thread / TILE::across];
#pragma unroll
      for (int j = 0; j < TILE::columns; ++j) {
        const Sixteen b = rights[held][k][j * TILE::across + thread % TILE::across];
#pragma unroll
        for (int i = 0; i < TILE::rows; ++i) {
          unsigned pair = pair_magnitude(pair_difference(a[i].at[0], b.at[0]));
#pragma unroll
          for (int e = 1; e < 4; ++e)
            pair = pair_sum(pair, pair_magnitude(pair_difference(a[i].at[e], b.at[e])));
          sum[i][j] += pair_total(pair);
        }
      }
    }
    held ^= 1;
    if (step < steps) {
      wait_for_sent();
      __syncthreads();
    }
  }
#pragma unroll
  for (int i = 0; i < TILE::rows; ++i)
#pragma unroll
    for (int j = 0; j < TILE::columns; ++j) {
      const int row = first + i * TILE::down + thread / TILE::across,
                column = first_column + j * TILE::across + thread % TILE::across;
      if (row < pixels && column < outputs) keep_narrow(y + ((long long)row * groups + group) * outputs + column, -sum[i][j]);
    }
}
