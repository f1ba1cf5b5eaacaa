"""Item text to vectors with any sentence encoder of Hugging Face transformers."""
