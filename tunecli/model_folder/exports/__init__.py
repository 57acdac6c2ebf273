"""Export models as ONNX files and torch programs, also in 8 bits."""
