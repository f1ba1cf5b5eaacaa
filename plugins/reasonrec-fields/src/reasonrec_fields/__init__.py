"""Neural click models that cross fields: xDeepFM and DCNv2."""
