"""Data sets, arrays, decoded pictures and streamed rows: the parts that all kinds share."""
