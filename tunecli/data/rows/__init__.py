"""What rows of every kind share: data sets, arrays, decoded pictures, rows that are streamed."""
