"""Making trained models smaller: whole channels, single weights, shared values, fewer bits.

Each step works on any model with `Linear` and `Conv` layers. `recipe.compress` puts them in order,
`packing` writes the result as bytes and reads it back to the bit.
"""
