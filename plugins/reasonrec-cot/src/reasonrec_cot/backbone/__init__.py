"""The language model: weights, device, prompts as numbers, shared beginnings, generation."""
