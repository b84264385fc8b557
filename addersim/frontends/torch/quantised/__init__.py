"""Networks that torch quantised: an exported program of PyTorch 2 export quantisation becomes a `Program` on its own codes.

- `operators`: a row an operator; `building`: what only torch has; `walk`: nodes become values; `lower`: the program.
"""
