"""Item images to vectors with any model of timm."""
