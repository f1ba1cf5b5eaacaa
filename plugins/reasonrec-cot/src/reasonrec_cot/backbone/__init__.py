"""The language model: weights, device, prompts as vectors, shared prefixes, generation."""
