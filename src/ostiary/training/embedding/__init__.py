"""What the one loop learns when a face recipe is handed to it: embeddings of aligned faces."""
