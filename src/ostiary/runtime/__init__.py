"""Running trained weights with numpy and ONNX Runtime alone."""
