"""Item images and text to vectors with the hidden states of a vision-language model."""
