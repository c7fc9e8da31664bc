"""Real data sets, without TensorFlow."""
