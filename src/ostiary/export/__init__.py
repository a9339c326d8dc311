"""From a trained network to a file that the runtime half eats."""
