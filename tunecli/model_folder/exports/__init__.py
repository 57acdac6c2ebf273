"""Models as ONNX and torch programs, and in 8 bits."""
