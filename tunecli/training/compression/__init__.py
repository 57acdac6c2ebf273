"""Make trained models smaller: remove channels and weights, share values, use fewer bits.

Each step works on any model with `Linear` and `Conv` layers. `recipe` holds the steps in their
order; `packing` writes the result as bytes and reads it back bit for bit.
"""
