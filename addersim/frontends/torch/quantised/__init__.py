"""Networks that torch quantised: an exported program of PyTorch 2 export quantisation becomes a `Program` on its own codes.

- `values`: what a node gives: codes, what they stand for, and reals that wait for the quantiser that makes codes of them.
- `building`: layers in the making; `operators`: a row an operator; `walk`: nodes become values; `lower`: the program.
"""
