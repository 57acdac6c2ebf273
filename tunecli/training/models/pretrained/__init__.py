"""Models of transformers for text, whole or with an adapter of peft, from weights on this machine.

Both libraries are imported only when one of these models is built.
"""
