"""The adder layer's kernels for CUDA, in CUDA C++, compiled at run time; README.md has what their machine code is made of."""
