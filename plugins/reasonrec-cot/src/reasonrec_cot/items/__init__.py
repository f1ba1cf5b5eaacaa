"""Items as soft tokens: features of pictures and text, projected into the space of token embeddings."""
