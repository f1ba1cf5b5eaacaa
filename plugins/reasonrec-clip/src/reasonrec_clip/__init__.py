"""Images and text in one space with open_clip, pretrained or tuned on your catalogue."""
